"""Signing in, tokens, and who may do what."""
