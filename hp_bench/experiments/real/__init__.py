"""A model that somebody else trained, taught our companion text; what the miniature only stands for."""
