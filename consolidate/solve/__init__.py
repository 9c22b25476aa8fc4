"""Packing, its lower bound, and the oracle that judges both."""
