"""A console's bytes without escape sequences, mapped back to raw offsets; pure.

A program that draws a screen writes no line ends: it moves the cursor (docs/facts/sac.md 1.7 and 1.8).
A move to another row becomes CR LF here, and one along the row becomes blanks or backspaces, so that lines
are lines either way. `harness.play.screen` tells what the screen shows at a moment.
"""

from __future__ import annotations

import re

from emulator.guest_text.escapes import TokenReader, numbers
from emulator.guest_text.records import StreamView

COLUMNS, ROWS = 80, 24
_MOVES = re.compile(rb"(?P<plain>[\x20-\x7e\xc0-\xff]+)|[\r\n\x08]")


class _Cursor:
    """Where the terminal's cursor is, counted from 1; at column 81 it is about to wrap."""

    def __init__(self) -> None:
        self.row = 1
        self.column = 1

    def pass_text(self, text: bytes) -> None:
        for part in _MOVES.finditer(text):
            if part["plain"] is not None:
                self._pass_plain(len(part["plain"]))
            elif part[0] == b"\r":
                self.column = 1
            elif part[0] == b"\n":
                self.row = min(ROWS, self.row + 1)
            else:
                self.column = max(1, self.column - 1)

    def go(self, row: int, column: int) -> bytes:
        """Move to a place and return what represents that in a text of lines."""
        row, column = min(max(row, 1), ROWS), min(max(column, 1), COLUMNS)
        distance = column - self.column
        shown = b"\r\n" if row != self.row else b" " * distance if distance > 0 else b"\x08" * -distance
        self.row, self.column = row, column
        return shown

    def _pass_plain(self, count: int) -> None:
        last = self.column - 1 + count  # the place of the last character, as if the row had no end
        self.row = min(ROWS, self.row + (last - 1) // COLUMNS)
        self.column = (last - 1) % COLUMNS + 2


class PlainView(StreamView):
    """The text of a console without escape sequences."""

    def __init__(self, *, start: int = 0) -> None:
        super().__init__(start=start)
        self._tokens = TokenReader()
        self._cursor = _Cursor()

    def feed(self, chunk: bytes) -> int:
        """Take the next raw bytes; return how many bytes of text they added."""
        before = len(self)
        for token in self._tokens.feed(chunk):
            self._append(self._shown(token), self._decided, self._decided + len(token[0]))
        return len(self) - before

    def _shown(self, token: re.Match[bytes]) -> bytes:
        if token["text"] is not None:
            self._cursor.pass_text(token["text"])
            return token["text"]
        if token["fill"] is not None:
            return token["fill"]  # no sequence, and a wait may be for it
        final, counts = token["final"], numbers(token["parameters"] or b"")
        if final is None or not counts:
            return b""
        first = max(1, counts[0])
        if final in b"Hf":
            return self._cursor.go(first, counts[1] if len(counts) > 1 else 1)
        rows = {b"A": -first, b"B": first}.get(final, 0)
        columns = {b"C": first, b"D": -first}.get(final, 0)
        if not rows and not columns:
            return b""
        return self._cursor.go(self._cursor.row + rows, self._cursor.column + columns)


_PYTE_CSI = re.compile(rb"\x1b\[\??[0-9;:]*[@-HJ-MPXa-hl-nr]")
_SUBPARAMETER = re.compile(rb":[0-9:]*")
_PYTE_OTHERS = frozenset({b"\x1bc", b"\x1bD", b"\x1bE", b"\x1bH", b"\x1bM", b"\x1b7", b"\x1b8", b"\x1b#8"})


def for_pyte(token: re.Match[bytes]) -> str:
    """Return what pyte is to be fed of a token that is no text; "" where it would show what is not seen.

    pyte 0.8.2 shows the content of a DCS and the rest of a CSI with `!`, `<`, `=` or a subparameter such as
    `4:3`, the curly underline (docs/facts/parts.md 7).
    """
    known = _PYTE_CSI.fullmatch(token[0]) or token[0] in _PYTE_OTHERS
    return _SUBPARAMETER.sub(b"", token[0]).decode("ascii") if known else ""
