"""Samples on disk: append-only segments of Parquet, read through DuckDB."""

from consolidate.store.store import Store as Store
