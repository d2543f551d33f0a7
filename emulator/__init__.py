"""What is at the far end of the serial line: machines, consoles, images, and a cloud."""
