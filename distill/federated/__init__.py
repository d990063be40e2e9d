"""Federated distillation: clients train on text of their own; only weights go between them and the server."""
