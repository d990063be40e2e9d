"""Federated distillation: the text stays with its owners, the clients, and only weights travel."""
