"""lab.toml: what users bring to the lab from their own repositories (docs/howto/matrix.md)."""
