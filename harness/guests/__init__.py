"""Guest drivers: how to come to a prompt and run a command on one kind of guest."""
