"""Guest images: a catalog, a deterministic builder and a verified store."""
