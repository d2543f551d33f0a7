"""The bench that cells share, and one cell from machine to result."""
