"""Strings: terms of a target and where they stand in a text, spellings, details, noise."""
