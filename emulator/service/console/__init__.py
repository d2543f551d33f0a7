"""The serial console plane: sessions, links, admin commands, and what watches over them."""
