"""Typing to a guest whose echo nobody can predict, and reading what stands at its cursor."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from emulator.clock import Deadline
from emulator.guest_text.escapes import seen
from emulator.guest_text.printable import escape
from emulator.guest_text.records import RECORD_LIKE, held_tail
from harness.play.session import ECHO_S, FIFO_BYTES, Session
from harness.scenario.errors import ExpectTimeout
from harness.scenario.steps import View

T = TypeVar("T")
_SETTLED_S = 0.25
"""Rest after which an echo that differs from what was typed is whole."""
_RECENT = 8192
"""Bytes of the latest text that are read for what stands at the cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Generic[T]):
    """What stands at the cursor, if nothing more comes for `rest_s` seconds.

    Attributes:
        what: is seen.
        rest_s: how long nothing may come; 0 does not wait.
        end: where it ends in the text that was read; None if it is the text's end.
        stays: whether it is one after `rest_s` whatever comes meanwhile, from a guest that is never silent.
    """

    what: T
    rest_s: float
    end: int | None = None
    stays: bool = False


class Typist:
    """Types into one session, for the session's thread; calls raise as `Session.expect`."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def type_line(self, line: bytes, deadline: Deadline) -> None:
        """Type `line` and Enter, each run of what a UART holds once the one before shows; consume the echo.

        Any echo will do in which the bytes stand in order: line editors wrap, colour, redraw and scroll. It
        is looked for among everything if `line` looks like a kernel record itself. ExpectTimeout: no echo in
        ECHO_S.
        """
        view = View.RAW if RECORD_LIKE.search(line) else View.USER
        for at in range(0, len(line), FIFO_BYTES):
            run = line[at : at + FIFO_BYTES]
            self.session.check()
            before = self._size(view)
            self.session.channel.write(run, deadline)
            self._await_echo(run, before, deadline, view=view)
        self._consume(self._size())
        self.session.send(b"\r", deadline, echo=False)

    def type_secret(self, secret: bytes, deadline: Deadline) -> None:
        """Type a password and Enter: the one place where a driver types what nobody may read."""
        with self.session.transcript.typing_secret():
            self.session.send_line(secret, deadline, echo=False)

    def stands_at(self, prompt: bytes) -> bool:
        """Tell whether a line that the pattern `prompt` fits is the one at the cursor."""
        return re.fullmatch(prompt, last_line(self._unread())) is not None

    def line_start(self) -> int:
        """Return the raw offset at which the cursor's line begins."""
        text = self._unread()
        return (
            self.session.listener.view.raw_span(self._size() - len(text) + text.rfind(b"\n"), self._size())[0]
            + 1
        )

    def await_sign(self, read: Callable[[bytes], Seen[T] | None], deadline: Deadline, *, awaited: str) -> T:
        """Consume and return what `read` finds at the end of the unread text, once it stays the end."""
        missed = self.session.missing(awaited, deadline.clock)
        self.session.check()
        pause, waits_for = deadline, None
        while True:
            text, size = self._unread(), self._size()
            found = read(text)
            if found is None or found.rest_s:
                if found is None or not (found.stays and waits_for == found.what):
                    pause = deadline if found is None else deadline.sooner(found.rest_s)
                waits_for = found.what if found is not None and found.stays else None
                if self._grows(size, pause, awaited):
                    continue
            if found is None:
                raise missed(None)
            self._consume(size if found.end is None else size - len(text) + found.end)
            return found.what

    def _await_echo(self, run: bytes, before: int, deadline: Deadline, *, view: View) -> None:
        soon, awaited = deadline.sooner(ECHO_S), f"the echo of '{escape(run)}'"
        size, source = before, self.session.seen(view) or self.session.transcript
        # What may begin a record shows once it is clear that it does not.
        shown = run if view is View.RAW else run[: len(run) - held_tail(run)]
        while not _in_order(shown, source.read(before, self._size(view))):
            pause = soon if size == before else soon.sooner(_SETTLED_S)
            if self._grows(size, pause, awaited, view=view):
                size = self._size(view)
            elif size == before:
                raise self.session.missing(awaited, deadline.clock)(None)
            else:
                return

    def _grows(self, size: int, deadline: Deadline, awaited: str, *, view: View = View.USER) -> bool:
        """Wait for more than `size` bytes of a view; False if no more come."""
        try:
            return self.session.wait(
                lambda _: True if self._size(view) > size else None,
                deadline,
                doing=f"awaiting {awaited}",
                missed=self.session.missing(awaited, deadline.clock),
            )
        except ExpectTimeout:
            return False

    def _unread(self) -> bytes:
        """Return the latest of the user text that was not consumed, up to the first alarm."""
        view, size = self.session.listener.view, self._size()
        return view.read(max(view.user_offset(self.session.position), size - _RECENT), size)

    def _consume(self, end: int) -> None:
        """Consume user text up to its offset `end`, and no record behind it."""
        last = self.session.listener.view.raw_span(max(0, end - 1), end)[1]
        self.session.position = max(self.session.position, last)

    def _size(self, view: View = View.USER) -> int:
        return self.session.readable(0, view)


def last_line(text: bytes) -> bytes:
    """Return what is seen of the line at the cursor: nothing if a line end is last.

    Of what was written over the line's begin (zsh and fish do so) the last counts.
    """
    parts = seen(text).rpartition(b"\n")[2].split(b"\r")
    return next((part for part in reversed(parts) if part.strip()), b"")


def _in_order(run: bytes, text: bytes) -> bool:
    at = 0
    for byte in run:
        at = text.find(byte, at) + 1
        if at == 0:
            return False
    return True
