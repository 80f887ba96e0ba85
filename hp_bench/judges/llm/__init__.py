"""Judges that ask a language model: through a server, or one of lm-eval's models."""
