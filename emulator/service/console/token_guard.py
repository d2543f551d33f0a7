"""Keeps access tokens out of guests: what looks like one is never typed, whether it is accepted or not.

Clients send tokens as messages of their own: late, again, renewed, with "Bearer" before, in two pieces.
Guests would echo them, and they would stand in the boot log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from emulator.errors import CloudError
from emulator.service.parts.tokens import TOKEN_MAX

_TOKEN = re.compile(
    rb"\s*(?:(?:authorization\s*:\s*)?bearer\s+)?"
    rb"(?P<token>eyJ[a-z0-9_-]{8,}(?:\.[a-z0-9_-]*(?P<signed>\.[a-z0-9_-]*)?)?)(?(signed)\s*)",
    re.IGNORECASE,
)
_PIECE = re.compile(rb"[A-Za-z0-9_-]{16,}")
"""The rest of a signature; what is shorter is somebody's typing."""
_SIGNED = 343
"""Length of a point and the signature of an access token (RS256, 2048 bits): nothing more follows."""
_LOG = logging.getLogger(__name__)


class TokenGuard:
    """Takes tokens out of one link's input.

    Args:
        renew: trusts the link by a token, or raises the CloudError that refuses it.
        known: the token that the link is trusted by already.
    """

    def __init__(self, renew: Callable[[str], None], *, known: str = "") -> None:
        self._renew = renew
        self._known = {known}
        self._held = b""
        self._whole = False

    def sift(self, data: bytes) -> bytes:
        """Return what is to be typed of a message; a piece of a token waits for the next message.

        A piece that turns out to be none is typed with what follows; what looks like a whole token never is.
        """
        held, whole, self._held = self._held, self._whole, b""
        joins = bool(held) and (not whole or _PIECE.fullmatch(data) is not None)
        if joins and self._takes(held + data):
            return b""
        before = b"" if whole else held
        return before if self._takes(data) else before + data

    def _takes(self, data: bytes) -> bool:
        """Tell whether `data` is a token or the beginning of one; a whole one is tried."""
        found = _TOKEN.fullmatch(data) if len(data) <= TOKEN_MAX else None
        if found is None:
            return False
        signature = found["signed"]
        self._whole = signature is not None
        good = self._whole and self._is_good(found["token"].decode("ascii"))
        if not good and len(signature or b"") < _SIGNED:
            self._held = data  # more of it may follow
        return True

    def _is_good(self, token: str) -> bool:
        if token in self._known:
            return True
        try:
            self._renew(token)
        except CloudError as error:
            _LOG.info("a token on a link is refused and not typed: %s", error)
            return False
        self._known.add(token)
        return True
