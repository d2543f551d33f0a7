"""A person at a console: terminal, escape menu, attaching and booting."""
