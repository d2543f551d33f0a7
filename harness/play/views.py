"""A console's bytes without escape sequences, mapped back to raw offsets; pure.

A program that draws a screen writes no line ends: it moves the cursor (docs/facts/sac.md 1.7 and 1.8).
A move to another row becomes CR LF here, and one along the row becomes blanks or backspaces, so that lines
are lines either way. `harness.play.screen` tells what the screen shows at a moment.
"""

from __future__ import annotations

import re

from emulator.guest_text.records import StreamView

COLUMNS, ROWS = 80, 24
_TOKEN = re.compile(
    rb"\x1b\[(?P<arguments>[0-?]{0,64})[ -/]{0,4}(?P<final>[@-~])"
    rb"|\x1b[\]P^_X][^\x07\x1b]{0,200}(?:\x07|\x1b\\)"
    rb"|\x1b[ -/]{0,4}[0-OQ-WYZ\\`-~]"
    rb"|(?P<text>[^\x1b]+)",
    re.DOTALL,
)
_MAY_BEGIN = re.compile(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,4}|[\]P^_X][^\x07\x1b]{0,200}\x1b?|[ -/]{0,4})\Z", re.DOTALL
)
"""An unfinished sequence."""
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
        self._held = b""
        self._cursor = _Cursor()

    def feed(self, chunk: bytes) -> int:
        """Take the next raw bytes; return how many bytes of text they added."""
        before, first, data, position = len(self), self._decided, self._held + chunk, 0
        while position < len(data):
            token = _TOKEN.match(data, position)
            if token is not None:
                end, text = token.end(), self._shown(token)
            elif _MAY_BEGIN.match(data, position):
                break
            else:  # not a sequence after all
                end, text = position + 1, data[position : position + 1]
            self._append(text, first + position, first + end)
            position = end
        self._held = data[position:]
        return len(self) - before

    def _shown(self, token: re.Match[bytes]) -> bytes:
        if token["text"] is not None:
            self._cursor.pass_text(token["text"])
            return token["text"]
        final = token["final"]
        if final is None or not re.fullmatch(rb"[0-9;]*", token["arguments"]):
            return b""
        numbers = [int(part or b"0") for part in token["arguments"][:20].split(b";")]
        first = max(1, numbers[0])
        if final in b"Hf":
            return self._cursor.go(first, numbers[1] if len(numbers) > 1 else 1)
        rows = {b"A": -first, b"B": first}.get(final, 0)
        columns = {b"C": first, b"D": -first}.get(final, 0)
        if not rows and not columns:
            return b""
        return self._cursor.go(self._cursor.row + rows, self._cursor.column + columns)
