"""The serial console: links to guests, and the watchdog that ends them."""
