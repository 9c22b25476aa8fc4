"""Benchmarks: measured by hand or by a release, never by the test suite."""
