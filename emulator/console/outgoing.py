"""Bytes on their way to the far end, in a queue that knows exactly how many were sent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emulator.clock import Deadline
from emulator.console.channel import Cursor
from emulator.errors import ConsoleClosed, DeadlineExceeded

_WRITE_SIZE = 4096


@dataclass(slots=True, eq=False)
class Outgoing:
    """One run of bytes to send.

    Attributes:
        data: the bytes.
        sent: how many of them the far end's kernel has taken.
        failure: why the rest will never be sent, or None.
    """

    data: bytes
    sent: int = 0
    failure: str | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.sent == len(self.data) or self.failure is not None


class OutgoingQueue:
    """First in, first out; any thread puts and waits, only the pump hands over."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._items: deque[Outgoing] = deque()
        self._held: deque[Outgoing] = deque()
        self._holders = 0
        self._closed: str | None = None

    def put(self, data: bytes, *, ahead: bool = False) -> Outgoing:
        """Queue `data`, `ahead` of what is held back or behind it."""
        item = Outgoing(data)
        with self._changed:
            if self._closed is not None:
                item.failure = self._closed
            elif data:
                (self._held if self._holders and not ahead else self._items).append(item)
        return item

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold back what is put from now on, until this `with` and every other one have ended."""
        with self._changed:
            self._holders += 1
        try:
            yield
        finally:
            with self._changed:
                self._holders -= 1
                if not self._holders:
                    self._items += self._held
                    self._held.clear()

    @property
    def waiting(self) -> int:
        """How many bytes wait to be sent, including those held back."""
        with self._changed:
            return sum(len(item.data) - item.sent for item in (*self._items, *self._held))

    @property
    def going(self) -> int:
        """How many bytes wait only for the far end."""
        with self._changed:
            return sum(len(item.data) - item.sent for item in self._items)

    def hand_over(self, write: Callable[[bytes], int], note: Callable[[bytes], None]) -> bool:
        """Write until the queue is empty or nothing more fits; return whether something is left.

        What was taken is noted before anybody who waits for it is woken.
        """
        with self._changed:
            while self._items:
                item = self._items[0]
                piece = item.data[item.sent : item.sent + _WRITE_SIZE]
                taken = write(piece)
                if not taken:
                    return True
                note(piece[:taken])
                item.sent += taken
                if item.settled:
                    self._items.popleft()
                    self._changed.notify_all()
            return False

    def close(self, reason: str) -> None:
        """Give up all that waits, and all that comes later."""
        with self._changed:
            if self._closed is None:
                self._closed = reason
            self._give_up(self._closed)

    def drop(self, reason: str) -> None:
        """Give up all that waits; what comes later is sent."""
        with self._changed:
            self._give_up(reason)

    def _give_up(self, reason: str) -> None:
        for items in (self._items, self._held):
            for item in items:
                item.failure = reason
            items.clear()
        self._changed.notify_all()

    def wait(self, item: Outgoing, deadline: Deadline) -> None:
        """Wait until `item` is sent, which it never is after the deadline; raises as `Channel.write`."""
        with self._changed:
            while not item.settled and (remaining := deadline.remaining()) > 0:
                self._changed.wait(remaining)
            sent = f"{item.sent} of {len(item.data)} bytes were handed over on {self._name}"
            if item.failure is not None:
                raise ConsoleClosed(f"{self._name} is closed ({item.failure}); {sent}")
            if not item.settled:
                (self._items if item in self._items else self._held).remove(item)
                raise DeadlineExceeded(f"the far end of {self._name} takes no more input; {sent}")


INPUT_SIZE = 4096
_PIECE = 65536
_TURN = 1 << 20  # bytes a link gets in one turn, so that the pump returns to its far end


class LinkFlow:
    """What an attached person or program sees and types; only the pump's thread uses it.

    Attributes:
        cursor: where its output stands. A user who stalls falls behind in the transcript, and costs nothing.
    """

    def __init__(self, cursor: Cursor, queue: OutgoingQueue) -> None:
        self.cursor = cursor
        self._queue = queue
        self._typed: Outgoing | None = None

    def push(self, write: Callable[[bytes], int]) -> bool:
        """Write what is new; return whether something is left because no more fits."""
        end = self.cursor.position + _TURN
        while self.cursor.position < end:
            data = self.cursor.transcript.read(self.cursor.position, self.cursor.position + _PIECE)
            if not data:
                return False
            taken = write(data)
            self.cursor.position += taken
            if taken < len(data):
                return True
        return True

    def hungry(self) -> bool:
        """Tell whether more input may be read, since the far end has all that came before."""
        return self._typed is None or self._typed.settled

    def type(self, data: bytes) -> None:
        """Queue `data` for the far end."""
        self._typed = self._queue.put(data)
