"""Connection strings and the links opened on them."""

from __future__ import annotations


class Sessions:
    """All sessions of the service."""
