"""What every route works with: the parts of one running service, and how paths are matched."""
