"""Which connections may stay: those that nobody vouches for can't keep out the ones of known callers.

A connection is a stranger's until a good token or signature came on it. Only so many strangers may be there:
one more ends the oldest, whatever it is doing: its head, its body, or a link without a token. A known
caller's connections are never ended for others; each caller has a number of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from starlette.requests import HTTPConnection

from emulator.cloud.refusals import refusal

CALLER_MAX = 400
SEAT = "seat"
"""Where a connection's seat is in its ASGI state."""


class Admission:
    """All connections of one server, whose loop owns them."""

    def __init__(self) -> None:
        self.strangers: dict[Seat, None] = {}
        self.callers: Counter[str] = Counter()

    def enter(self, state: dict[str, Any], *, end: Callable[[], None], most: int) -> Seat:
        """Return the seat of a new connection, also in `state`; more strangers than `most` are ended."""
        seat = state[SEAT] = Seat(self, end)
        self.strangers[seat] = None
        while len(self.strangers) > most:
            oldest = next(iter(self.strangers))
            del self.strangers[oldest]
            oldest.end()
        return seat


class Seat:
    """One connection; `end` ends it, and whoever takes the connection over replaces that."""

    def __init__(self, admission: Admission, end: Callable[[], None]) -> None:
        self.end = end
        self._admission = admission
        self._caller: str | None = None

    def know(self, caller: str) -> None:
        """Count this as a connection of `caller` from now on, unless somebody vouched for it before.

        Raises:
            CloudError: 429; that caller has too many connections already.
        """
        if self not in self._admission.strangers:
            return
        if self._admission.callers[caller] >= CALLER_MAX:
            raise refusal("TooManyRequests", most=CALLER_MAX)
        del self._admission.strangers[self]
        self._admission.callers[caller] += 1
        self._caller = caller

    def leave(self) -> None:
        """Forget this connection, which has ended."""
        self._admission.strangers.pop(self, None)
        if self._caller is not None:
            self._admission.callers[self._caller] -= 1
            self._admission.callers += Counter()  # without those that have none left
            self._caller = None


def vouch(connection: HTTPConnection, caller: str) -> None:
    """Note that `caller` has shown who it is on this connection; errors are those of `Seat.know`."""
    seat = connection.scope.get("state", {}).get(SEAT)  # a test client's connections have none
    if seat is not None:
        seat.know(caller)
