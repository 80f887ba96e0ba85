"""Generic labels: translation, position mapping, formula, dataset."""
