"""What needs both packages, since it trains and measures: the demo and the leaderboard."""
