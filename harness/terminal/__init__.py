"""A person at a console: terminal, escape menu, attaching, booting, reproducing."""
