"""Snapshots: a guest that has booted, kept so that any number of machines can go on from it."""
