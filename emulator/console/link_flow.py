"""The two directions of a link: transcript out by a cursor of its own, typed bytes in one at a time."""

from __future__ import annotations

from collections.abc import Callable

from emulator.console.cursor import Cursor
from emulator.console.outgoing import Outgoing, OutgoingQueue

INPUT_SIZE = 4096
_PIECE = 65536
_TURN = 1 << 20  # bytes a link gets in one turn, so that the pump comes back to its far end


class LinkFlow:
    """What an attached person or program sees and types; the pump's thread alone uses it.

    Attributes:
        cursor: where its output stands. Whoever stalls falls behind in the transcript, which
            costs nobody anything.
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
        """Tell whether more input may be read: what came before is with the far end."""
        return self._typed is None or self._typed.settled

    def type(self, data: bytes) -> None:
        """Send `data` to the far end when it takes it."""
        self._typed = self._queue.put(data)
