"""What a SAC says, held against what its profile says of it."""
