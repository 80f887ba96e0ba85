"""Prompt files -> typed rows; drafts of such files for another target."""
