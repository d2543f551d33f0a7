"""Recordings of real consoles, and copies of them without what is private."""
