"""Model -> scorecard, kept on disk with its samples and where it came from."""
