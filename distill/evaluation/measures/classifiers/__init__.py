"""Measures of classifiers of texts: fine-tuned copies of a model, or the user's own."""
