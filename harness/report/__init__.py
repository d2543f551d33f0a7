"""Results that people and programs read."""
