"""Measurements that a monitoring system keeps: Prometheus, and what speaks its HTTP API."""
