"""Measures on sampled continuations: `bold` and `bold_persons` sample, the others are computed from their records."""
