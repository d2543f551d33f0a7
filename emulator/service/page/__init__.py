"""The web console: its files, and where each of them comes from."""
