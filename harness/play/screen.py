"""What a terminal would show; for menus and full-screen programs, where the order of bytes says little."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyte

from emulator.clock import Deadline
from emulator.errors import ConsoleClosed
from emulator.guest_text.escapes import TokenReader
from harness.play.session import Moment, Session
from harness.play.views import for_pyte
from harness.scenario.steps import View

COLUMNS, ROWS = 80, 24
_PIECE = 65536
_C1 = re.compile("[\x80-\x9f]")  # controls to pyte, but not to the grammar

ScreenPattern: TypeAlias = "str | re.Pattern[str] | Callable[[Screen], bool]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorPlace:
    """Where the cursor is, counted from 0."""

    row: int
    column: int


class Screen:
    """An 80x24 terminal that only watches: it answers none of the guest's queries (docs/facts/parts.md 8).

    Reading it consumes nothing of the session. Bytes after an alarm that is not allowed are not shown.
    For the session's thread.

    Attributes:
        session: the console and its allowed alarms.
        position: raw offset up to which output is shown.
    """

    def __init__(
        self, session: Session, *, start: int | None = None, columns: int = COLUMNS, rows: int = ROWS
    ) -> None:
        self.session = session
        self.position = session.position if start is None else start
        self._tokens = TokenReader()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._screen: Any = pyte.Screen(columns, rows)
        self._stream: Any = pyte.Stream(self._screen)

    # -- what is shown -------------------------------------------------------------------------

    def update(self) -> None:
        """Show everything that has come."""
        self.session.listener.update()
        end = self.session.readable(self.position, View.RAW)
        while data := self.session.transcript.read(self.position, min(end, self.position + _PIECE)):
            self.position += len(data)
            self._show(data)

    def lines(self) -> tuple[str, ...]:
        """Return the text of each row, without trailing blanks."""
        return tuple(line.rstrip() for line in self._screen.display)

    @property
    def cursor(self) -> CursorPlace:
        """Where the cursor is."""
        return CursorPlace(
            row=self._screen.cursor.y, column=min(self._screen.cursor.x, self._screen.columns - 1)
        )

    def before_cursor(self, count: int) -> str:
        """Return the `count` characters before the cursor, across rows; fewer at the top of the screen."""
        rows = self._screen.display[: self._screen.cursor.y]
        here = self._screen.display[self._screen.cursor.y][: self._screen.cursor.x]
        shown = "".join(rows) + str(here)
        return shown[max(0, len(shown) - count) :]

    def line_before_cursor(self) -> str:
        """Return the text of the cursor's line up to the cursor; a full row continues in the next."""
        first = self._screen.cursor.y
        while first > 0 and not str(self._screen.display[first - 1]).endswith(" "):
            first -= 1
        return self.before_cursor(
            (self._screen.cursor.y - first) * self._screen.columns + self._screen.cursor.x
        )

    def highlighted_row(self) -> int | None:
        """Return the row with the most cells in reverse video (or black on white); None if there are none."""
        counts = [self._highlighted(row) for row in range(self._screen.lines)]
        return counts.index(max(counts)) if any(counts) else None

    # -- waiting -------------------------------------------------------------------------------

    def wait_for(self, wanted: ScreenPattern, deadline: Deadline, *, says: str = "") -> None:
        """Wait until the screen shows `wanted`; raises as `Session.expect`, with the screen in a note.

        `wanted` is text or a pattern that a row must contain, or a predicate on the screen; messages call it
        what `says` says.
        """
        shows, transcript = _predicate(wanted), self.session.transcript
        began, since = deadline.clock.monotonic(), transcript.now()
        awaited = f"{says or _described(wanted)} on the screen"

        def look(_: Moment) -> bool | None:
            self.update()
            return shows(self) or None

        def missed(closed: str | None) -> Exception:
            if closed is not None:
                return ConsoleClosed(f"{transcript.name}: awaited {awaited}, but the console ended: {closed}")
            seconds = deadline.clock.monotonic() - began
            shown = "\n".join(line for line in self.lines() if line)
            text = f"awaited {awaited}, which did not show in {seconds:.1f} s"
            return self.session.late(text, since, note=shown)

        self.session.wait(look, deadline, doing=f"awaiting {awaited}", missed=missed)

    # -- inside --------------------------------------------------------------------------------

    def _show(self, data: bytes) -> None:
        for token in self._tokens.feed(data):
            if token["text"] is None:
                self._feed(self._decode(b"", final=True) + for_pyte(token))  # it cuts a character off
                continue
            text = _C1.sub("", self._decode(token["text"]))
            # pyte drops what follows a character without width
            for part in (text,) if text.isascii() else text:
                self._feed(part)

    def _feed(self, text: str) -> None:
        try:
            self._stream.feed(text)
        except Exception:  # noqa: BLE001  # pyte trips over some garbage, but has reset its parser by then
            return

    def _highlighted(self, row: int) -> int:
        cells = (self._screen.buffer[row][column] for column in range(self._screen.columns))
        return sum(cell.reverse or (cell.fg, cell.bg) == ("black", "white") for cell in cells)


def _predicate(wanted: ScreenPattern) -> Callable[[Screen], bool]:
    if isinstance(wanted, str):
        return lambda screen: any(wanted in line for line in screen.lines())
    if isinstance(wanted, re.Pattern):
        return lambda screen: any(wanted.search(line) for line in screen.lines())
    return wanted


def _described(wanted: ScreenPattern) -> str:
    if isinstance(wanted, str):
        return repr(wanted)
    return repr(wanted.pattern) if isinstance(wanted, re.Pattern) else "what a predicate says"
