"""Hosts, workloads, rules: frozen types and their algebra, without effects."""
