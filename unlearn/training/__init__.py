"""Fine-tunes, their losses and their data."""
