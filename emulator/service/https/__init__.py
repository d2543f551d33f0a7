"""The HTTPS port: TLS, limits, and the middleware of every request."""
