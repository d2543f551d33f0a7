"""What this machine has of all that ttylab needs, and what mends the rest."""
