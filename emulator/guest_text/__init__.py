"""What guests write on a console, as patterns and values; pure."""
