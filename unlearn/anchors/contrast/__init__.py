"""A dictionary drafted without a key: what the target says more often than English does."""
