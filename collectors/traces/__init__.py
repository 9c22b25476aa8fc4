"""Published traces, and records that another host printed: one file per format."""
