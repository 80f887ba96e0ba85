"""Text -> documents -> blocks of source characters."""
