"""Flake hunting: one cell many times under jitter, how often it fails and from which causes."""
