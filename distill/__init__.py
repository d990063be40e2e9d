"""Counterfactual knowledge distillation of causal language models, and its evaluation."""

__version__ = "0.1.0"
