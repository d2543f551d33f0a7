"""Guest drivers: how to reach a prompt and run a command on each kind of guest."""
