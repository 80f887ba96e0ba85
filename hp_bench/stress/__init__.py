"""Does it come back: after rounding, after a few steps on other text, in sampled answers."""
