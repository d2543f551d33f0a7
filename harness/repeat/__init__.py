"""Flake hunting: one cell many times under jitter, and how often it fails of which causes."""
