"""ttylab's own pty for people and programs: `screen /dev/pts/7` shows the console from its first byte.

Its output is a cursor on the transcript, so a user who stalls, closes or never comes costs and loses nothing.
While nobody has the pty open nothing is written to it, since pyserial and picocom discard what they find when
they open it.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.console.channel import Cursor
from emulator.console.loop import Loop, Port
from emulator.console.marks import MarkKind
from emulator.console.outgoing import INPUT_SIZE, LinkFlow, OutgoingQueue
from emulator.console.transcript import Transcript
from emulator.console.wires import RawPty, open_raw_pty

_OPEN = 0x20  # IN_OPEN
_CLOSE = 0x18  # IN_CLOSE_WRITE | IN_CLOSE_NOWRITE
_EVENT = struct.Struct("iIII")  # struct inotify_event without its name; a watched file has none


class OpensWatch:
    """An inotify descriptor on one file; not thread-safe."""

    def __init__(self, path: Path) -> None:
        """Begin to watch `path`; raises OSError if the kernel has no inotify, or no watch left."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        if libc.inotify_add_watch(self._descriptor, os.fsencode(path), _OPEN | _CLOSE) < 0:
            os.close(self._descriptor)
            raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))

    def fileno(self) -> int:
        """Return the descriptor, readable when something happened."""
        return self._descriptor

    def read(self) -> list[int]:
        """Return +1 per opening and -1 per closing since the last call; equal neighbours may be merged."""
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return []
        changes, position = [], 0
        while position < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            if mask & (_OPEN | _CLOSE):
                changes.append(1 if mask & _OPEN else -1)
        return changes

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


SETTLE_S = 0.05  # from opening to the first byte: time for a program to flush and set its modes
RECHECK_S = 0.1  # after somebody left: finds a user whose opening could not be told from ours


class PtyEndpoint(Port):
    """The loop's port on the pty's master; users open `path`."""

    def __init__(self, pty: RawPty, flow: LinkFlow, *, watch: OpensWatch | None) -> None:
        self.path: Path = pty.path
        self._pty = pty
        self._flow = flow
        self._watch = watch
        self._transcript = flow.cursor.transcript
        self._attached = watch is None
        self._settled_at: float | None = None
        self._recheck_at: float | None = None
        self._full = False

    def fileno(self) -> int:
        """Return the master."""
        return self._pty.master

    def due(self) -> float | None:
        """Return when a new user may be written to, or users are looked for again."""
        return min((at for at in (self._settled_at, self._recheck_at) if at is not None), default=None)

    def prepare(self) -> int:
        """Write what is new; take input only while the far end does, so that no byte is dropped."""
        now = self._transcript.clock.monotonic()
        if self._recheck_at is not None and now >= self._recheck_at:
            self._look_for_users()
            self._recheck_at = None
        if self._settled_at is not None and now >= self._settled_at:
            self._settled_at = None
        if self._attached and self._settled_at is None and not self._full:
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
        """Do nothing: the pty's owner closes it."""

    def users_moved(self, changes: list[int]) -> None:
        """Take note of openings (+1) and closings (-1).

        inotify merges equal neighbours, so they can't be counted; but after an opening somebody is there
        until a closing follows.
        """
        if 1 in changes:
            self._attach()
        if changes and changes[-1] < 0:
            self._look_for_users()
            self._recheck_at = self._transcript.clock.monotonic() + RECHECK_S

    def _look_for_users(self) -> None:
        self._flow.cursor.position -= self._pty.take_back()
        self._full = False
        if self._pty.has_users():
            self._attach()
        elif self._attached:
            self._attached, self._settled_at = False, None
            self._mark("endpoint-closed")
        if self._watch is not None:
            # Drop our own closing and opening; a user's among them would be found by the recheck.
            self._watch.read()

    def _attach(self) -> None:
        if not self._attached:
            self._attached = True
            self._settled_at = self._transcript.clock.monotonic() + SETTLE_S
            self._mark("endpoint-opened")

    def _mark(self, name: str) -> None:
        self._transcript.mark(MarkKind.LINK, name, {"path": str(self.path)})


class _Opens(Port):
    """The loop's port that tells the endpoint of openings and closings."""

    def __init__(self, watch: OpensWatch, endpoint: PtyEndpoint) -> None:
        self._watch = watch
        self._endpoint = endpoint

    def fileno(self) -> int:
        return self._watch.fileno()

    def prepare(self) -> int:
        return selectors.EVENT_READ

    def serve(self, events: int) -> None:
        if events:
            self._endpoint.users_moved(self._watch.read())

    def close(self) -> None:
        self._watch.close()


@contextmanager
def open_endpoint(transcript: Transcript, queue: OutgoingQueue, *, loop: Loop) -> Iterator[PtyEndpoint]:
    """Make a pty that shows `transcript` and sends typed bytes to `queue`.

    If the kernel can't tell who opens it (no inotify), it is written to as if always open.
    """
    with open_raw_pty() as pty:
        try:
            watch = OpensWatch(pty.path)
        except OSError:
            watch = None
        endpoint = PtyEndpoint(pty, LinkFlow(Cursor(transcript), queue), watch=watch)
        if watch is not None:
            loop.add(_Opens(watch, endpoint))
        loop.add(endpoint)
        yield endpoint
