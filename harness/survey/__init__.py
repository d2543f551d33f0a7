"""What a user's guest can do, found out when it is first booted; which scenarios that leaves out, and why."""
