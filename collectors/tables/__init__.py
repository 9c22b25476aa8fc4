"""Any CSV or Parquet file, by a mapping file that says which column is what, and in which unit."""
