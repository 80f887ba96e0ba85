"""The anchor dictionary: read, checked, drafted."""
