"""Signed URLs of boot-diagnostics blobs: whoever has one may read the blob until it expires."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

SCREENSHOTS_MAX = 64
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class Screenshots:
    """The latest screenshot of each VM, for when it is off; the oldest go where there are too many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, key: str, bitmap: bytes) -> None:
        """Remember `bitmap` as what the VM with that key showed last."""
        self._kept[key] = bitmap
        self._kept.move_to_end(key)
        while len(self._kept) > SCREENSHOTS_MAX:
            self._kept.popitem(last=False)

    def find(self, key: str) -> bytes | None:
        """Return what the VM with that key showed last, or None."""
        return self._kept.get(key)

    def forget(self, key: str) -> None:
        """Drop what the VM with that key showed."""
        self._kept.pop(key, None)


class BlobSigner:
    """Makes and checks the query of signed URLs; the key never leaves it.

    Attributes:
        screenshots: what VMs showed last.
    """

    def __init__(self, key: bytes, *, endpoint: str) -> None:
        self.screenshots = Screenshots()
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
