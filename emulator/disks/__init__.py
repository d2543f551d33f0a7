"""Disks that users bring, as files: their format, what they rest on, what boots from them."""
