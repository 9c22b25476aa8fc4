"""Resource partitioning and consolidation: measured load in, an enforced and reversible plan out."""

__version__ = "0.1.0"
