"""Snapshots: booted guests, saved so that any number of machines can continue from them."""
