"""The names under which one service is reached: its endpoint, and the local names of its port; pure."""

from __future__ import annotations

from urllib.parse import urlsplit

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def endpoints_of(endpoint: str) -> frozenset[str]:
    """Return the URLs that mean the service at `endpoint` ("https://HOST:PORT"), in lower case."""
    port = urlsplit(endpoint).port
    tail = "" if port is None else f":{port}"
    return frozenset({endpoint.lower(), *(f"https://{name}{tail}" for name in LOCAL_NAMES)})
