"""What the service keeps on disk: records, keys, run directories."""
