"""A wire to a serial port that may vanish and be opened again: a console that its board's power feeds."""

from __future__ import annotations

import errno
import select
import selectors
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import serial

from emulator.clock import Deadline
from emulator.console.wires import LineWire, Wire
from emulator.errors import SpecError

AGAIN_S = 0.1
"""Seconds between two attempts to open a port that is to come back."""
_ABSENT = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ENOENT, errno.ENXIO}
    | {errno.ENODEV, errno.EIO}
)
"""What opening a port says that is not there now, unlike one that others have or that is named wrongly."""


class PortWire(Wire, Protocol):
    """A wire to an open port."""

    port: serial.Serial

    def close(self) -> None:
        """Close the port, and join what reads it."""


class ReturningWire(LineWire):
    """A wire that outlives the port behind it.

    Attributes:
        may_go: whether the port may vanish now without being lost; nothing is then read or sent until `join`.
        port: the open port; None while it is away.
    """

    room_event = selectors.EVENT_READ  # the descriptor also tells of room
    loss = "the port is gone"

    def __init__(self, open_wire: Callable[[], PortWire]) -> None:
        self.may_go = True
        self._open_wire = open_wire
        self._inner: PortWire | None = None
        self._changing = threading.RLock()
        self._epoll = select.epoll()

    @property
    def port(self) -> serial.Serial | None:
        """The open port; None while it is away."""
        return None if self._inner is None else self._inner.port

    def join(self, deadline: Deadline) -> None:
        """Open the port again if it is away; raises SpecError if it can't be, or at the deadline."""
        while self._inner is None:
            try:
                opened = self._open_wire()
            except SpecError as error:
                if not is_absent(error) or deadline.expired():
                    raise
                deadline.clock.sleep(min(AGAIN_S, max(deadline.remaining(), 0.0)))
                continue
            with self._changing:
                self._inner, self.linger_s, self.loss = opened, opened.linger_s, opened.loss
                self._epoll.register(opened.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """Return a descriptor that is readable when the port is, or has room for what did not fit."""
        return self._epoll.fileno()

    def read(self) -> bytes | None:
        """Return what came, None for nothing, b"" when the port is gone though it may not."""
        with self._changing:
            data = None if self._inner is None else self._inner.read()
            if data == b"" and self.may_go:
                self._leave()
                return None
            return data

    def write(self, data: bytes) -> int:
        """Hand over what fits; what is typed while the port is away is lost, as on a board without power."""
        with self._changing:
            if self._inner is None:
                return len(data)
            try:
                sent = self._inner.write(data)
            except OSError:
                if not self.may_go:
                    raise
                self._leave()
                return len(data)
            waits = sent < len(data) and self._inner.room_event == selectors.EVENT_WRITE
            self._epoll.modify(self._inner.fileno(), select.EPOLLIN | (select.EPOLLOUT if waits else 0))
            return sent

    def count_unread(self) -> int:
        """Return how many bytes the port has not sent yet."""
        with self._changing:
            return 0 if self._inner is None else self._inner.count_unread()

    def close(self) -> None:
        """Close the port."""
        with self._changing:
            if self._inner is not None:
                self._leave()
        self._epoll.close()

    def _leave(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            with suppress(OSError, ValueError):  # an unplugged device's descriptor may be gone already
                self._epoll.unregister(inner.fileno())
            inner.close()


def is_absent(error: BaseException | None) -> bool:
    """Tell whether a port can't be opened since it is not there now, which pyserial says in the causes."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _ABSENT:
            return True
        error = error.__cause__ or error.__context__
    return False
