"""Which connections may stay: those that nobody vouches for can't keep out the ones of known callers.

A connection is a stranger's until a good token or signature came on it. Only so many strangers may be there:
one more ends the oldest, whatever it is doing: its head, its body, or a link without a token. A known
caller's connections are never ended for others; each caller has a number of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from starlette.requests import HTTPConnection

from emulator.errors import CloudError

CALLER_MAX = 400
_SEAT = "seat"


class Admission:
    """All connections of one server, whose loop owns them."""

    def __init__(self) -> None:
        self._strangers: dict[Seat, None] = {}
        self._callers: Counter[str] = Counter()

    def enter(self, state: dict[str, object], *, end: Callable[[], None], most: int) -> Seat:
        """Return the seat of a new connection, after which there are at most `most` strangers.

        Args:
            state: the ASGI state of the connection's requests, in which `vouch` finds the seat.
            end: ends the connection.
            most: the limit; with 0 the new connection itself is ended.
        """
        seat = Seat(self, end)
        state[_SEAT] = seat
        self._strangers[seat] = None
        while len(self._strangers) > most:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.end()
        return seat

    def know(self, seat: Seat, caller: str) -> None:
        """Count `seat` as one of `caller`'s from now on; the first caller on a connection is the one.

        Raises:
            CloudError: 429; that caller has too many connections already.
        """
        if seat not in self._strangers:
            return
        if self._callers[caller] >= CALLER_MAX:
            raise CloudError(
                429, "TooManyRequests", f"This caller has {CALLER_MAX} connections open; close some first."
            )
        del self._strangers[seat]
        self._callers[caller] += 1
        seat.caller = caller

    def leave(self, seat: Seat) -> None:
        """Forget a connection that has ended."""
        self._strangers.pop(seat, None)
        if seat.caller is not None:
            self._callers.subtract([seat.caller])
            if not self._callers[seat.caller]:
                del self._callers[seat.caller]
            seat.caller = None


class Seat:
    """One connection among all.

    Attributes:
        end: ends the connection; whoever takes the connection over replaces it.
        caller: who vouched for it; None while it is a stranger's.
    """

    def __init__(self, admission: Admission, end: Callable[[], None]) -> None:
        self.end = end
        self.caller: str | None = None
        self._admission = admission

    def know(self, caller: str) -> None:
        """See `Admission.know`."""
        self._admission.know(self, caller)

    def leave(self) -> None:
        """See `Admission.leave`."""
        self._admission.leave(self)


def seat_of(state: object) -> Seat | None:
    """Return the seat in the ASGI state of a connection; a test client's has none."""
    seat = state.get(_SEAT) if isinstance(state, dict) else None
    return seat if isinstance(seat, Seat) else None


def vouch(connection: HTTPConnection, caller: str) -> None:
    """Note that `caller` has shown who it is on the connection of a request or WebSocket.

    Raises:
        CloudError: 429; that caller has too many connections already.
    """
    seat = seat_of(connection.scope.get("state"))
    if seat is not None:
        seat.know(caller)
