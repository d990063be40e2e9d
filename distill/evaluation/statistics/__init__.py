"""Measurements with intervals, and tests of differences between models. NumPy and SciPy only."""
