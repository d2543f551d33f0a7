"""What clients talk to: Resource Manager, sign-in, console gateway and web page on one HTTPS port.

Thin shells around `cloud` (the records) and `fleet` (the machines that really run).
"""
