"""What clients talk to: Resource Manager, sign-in, console gateway and web page on one HTTPS port.

Thin shells around `cloud` (what is so) and `fleet` (what really runs).
"""
