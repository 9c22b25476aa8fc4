"""Renderings of one plan document."""
