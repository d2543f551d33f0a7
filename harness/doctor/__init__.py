"""What this machine has of everything ttylab needs, and how to fix the rest."""
