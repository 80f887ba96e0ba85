"""A recipe -> a run directory, stage by stage."""
