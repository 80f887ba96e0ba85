"""The commands of `hp-bench`: options and output; what they do is elsewhere."""
