"""What a model gives: log-probabilities of texts, and sampled continuations."""
