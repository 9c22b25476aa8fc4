"""What enforces a partition on a host: one file each."""
