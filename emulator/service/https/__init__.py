"""The HTTPS port: TLS, limits, and what every request passes."""
