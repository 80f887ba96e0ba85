"""Numbers over training: every checkpoint of a run, a folder that still grows, a Trainer that still trains."""
