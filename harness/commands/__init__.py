"""One module for each command of `ttylab`."""
