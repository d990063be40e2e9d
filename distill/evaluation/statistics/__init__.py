"""Resampling and measurements with intervals."""
