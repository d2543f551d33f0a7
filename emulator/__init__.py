"""What stands at the far end of the serial line: machines, consoles, images, and later the cloud."""
