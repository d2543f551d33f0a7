"""Signed URLs of boot-diagnostics blobs: whoever has one may read the blob until it expires."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class BlobSigner:
    """Makes and checks the query of signed URLs; the key never leaves it."""

    def __init__(self, key: bytes, *, endpoint: str) -> None:
        self._key = key
        self._endpoint = endpoint

    def url(self, path: str, *, expires: datetime) -> str:
        """Return the URL under which the blob at `path` ("/blobs/…") can be read until `expires`, UTC."""
        stamp = expires.astimezone(UTC).strftime(_STAMP)
        query = urlencode(
            {"sv": "2021-08-06", "sr": "b", "sp": "r", "se": stamp, "sig": self._sign(path, stamp)}
        )
        return f"{self._endpoint}{quote(path)}?{query}"

    def allows(self, path: str, query: Mapping[str, str], *, now: datetime) -> bool:
        """Tell whether `query` is a signature of `path` that has not expired."""
        stamp = query.get("se", "")
        if not hmac.compare_digest(query.get("sig", "").encode(), self._sign(path, stamp).encode()):
            return False
        return now < datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)

    def _sign(self, path: str, stamp: str) -> str:
        return hmac.new(self._key, f"{path}\n{stamp}".encode(), hashlib.sha256).hexdigest()
