"""Log-probabilities and generations of a model."""
