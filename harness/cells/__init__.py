"""Cells and matrices: what runs on what, and one cell from machine to result."""
