"""ttylab's own pty for people and programs: `screen /dev/pts/7` sees the console from its first byte.

Output is a cursor on the transcript, so a user who stalls, closes or never comes costs nothing and
loses nothing. While nobody has the pty open nothing is written to it: pyserial and picocom flush
what they find when they open it.
"""

from __future__ import annotations

import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.console.cursor import Cursor
from emulator.console.link_flow import INPUT_SIZE, LinkFlow
from emulator.console.loop import Loop
from emulator.console.marks import MarkKind
from emulator.console.opens_watch import OpensWatch
from emulator.console.outgoing import OutgoingQueue
from emulator.console.raw_pty import RawPty, open_raw_pty
from emulator.console.transcript import Transcript

SETTLE_S = 0.05  # from opening to the first byte: time for a program to flush and set its modes


class PtyEndpoint:
    """The port on the endpoint's master.

    Attributes:
        path: what users open.
    """

    def __init__(self, pty: RawPty, flow: LinkFlow, *, watched: bool) -> None:
        self.path: Path = pty.path
        self._pty = pty
        self._flow = flow
        self._clock = flow.cursor.transcript.clock
        self._users = 0 if watched else 1
        self._settled_at = 0.0
        self._full = False

    def fileno(self) -> int:
        """Return the master."""
        return self._pty.master

    def due(self) -> float | None:
        """Return when a user who has just come may be written to."""
        return self._settled_at if self._users and self._settled_at else None

    def prepare(self) -> int:
        """Show what is new; take input only while the far end takes it (never drop a byte)."""
        if self._settled_at and self._clock.monotonic() >= self._settled_at:
            self._settled_at = 0.0
        if self._users and not self._settled_at and not self._full:
            self._full = self._flow.push(self._pty.write)
        events = selectors.EVENT_READ if self._flow.hungry() else 0
        return events | (selectors.EVENT_WRITE if self._full else 0)

    def serve(self, events: int) -> None:
        """Take what was typed; note that there is room again."""
        if events & selectors.EVENT_WRITE:
            self._full = False
        if events & selectors.EVENT_READ and (data := self._pty.read(INPUT_SIZE)):
            self._flow.type(data)

    def close(self) -> None:
        """Do nothing: the pty belongs to who made it."""

    def count(self, changes: list[int]) -> None:
        """Take note of openings (+1) and closings (-1)."""
        before = self._users
        for change in changes:
            self._users = max(0, self._users + change)
        if self._users and not before:
            self._settled_at = self._clock.monotonic() + SETTLE_S
            self._mark("endpoint-opened")
        elif before and not self._users:
            self._pty.make_raw()
            self._flow.cursor.position -= self._pty.take_back()
            self._full = False
            self._mark("endpoint-closed")

    def _mark(self, name: str) -> None:
        self._flow.cursor.transcript.mark(MarkKind.LINK, name, {"path": str(self.path)})


class _Users:
    """The port that counts the endpoint's users."""

    def __init__(self, watch: OpensWatch, endpoint: PtyEndpoint) -> None:
        self._watch = watch
        self._endpoint = endpoint

    def fileno(self) -> int:
        return self._watch.fileno()

    def due(self) -> float | None:
        return None

    def prepare(self) -> int:
        return selectors.EVENT_READ

    def serve(self, events: int) -> None:
        if events:
            self._endpoint.count(self._watch.read())

    def close(self) -> None:
        self._watch.close()


@contextmanager
def open_endpoint(transcript: Transcript, queue: OutgoingQueue, *, loop: Loop) -> Iterator[PtyEndpoint]:
    """Make a pty on which `transcript` is shown and typed bytes go to `queue`.

    Where the kernel can't tell who opens it (no inotify), it is written to as if always open.
    """
    with open_raw_pty() as pty:
        try:
            watch = OpensWatch(pty.path)
        except OSError:
            watch = None
        endpoint = PtyEndpoint(pty, LinkFlow(Cursor(transcript), queue), watched=watch is not None)
        if watch is not None:  # before the endpoint: a user who left must not be written to
            loop.add(_Users(watch, endpoint))
        loop.add(endpoint)
        yield endpoint
