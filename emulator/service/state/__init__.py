"""What is kept on disk: records, keys, run directories."""
