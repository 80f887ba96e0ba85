"""Numbers: scorecards, their metrics and intervals, comparisons, curves."""
