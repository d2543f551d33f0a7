"""Cells and matrices: which scenario runs on which image and machine."""
