"""Guests of every kind that can be booted: ttylab's own, and what users bring."""
