"""Partitions on hosts: written, checked, taken back."""
