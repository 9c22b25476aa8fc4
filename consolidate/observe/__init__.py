"""What others may watch: metrics of a plan and of its enforcement."""
