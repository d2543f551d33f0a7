"""Text views of a console's bytes, in which each character knows the byte that it comes from; pure.

A name that stands on a screen need not stand in the stream: escape sequences cut it, a jumping cursor
writes it in pieces, column 80 wraps it. So there are views of the bytes as they came, without sequences, and
on a terminal whose cells know which byte wrote them.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyte

from emulator.guest_text.escapes import ROW_MOVES, TOKEN
from harness.play.views import COLUMNS, for_pyte

ROWS = 25
"""One more than SAC has: a screen of 24 rows fits, and Microsoft's own documents say 80x25."""
NOWHERE = -1
"""The offset of a character that no byte wrote."""

_TRIPS = suppress(Exception)
"""Around pyte, which trips over some garbage."""
_RUNS = re.compile(rb"[\x20-\x7e\x80-\xff]+|[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextView:
    """A text that can be read in the bytes.

    Attributes:
        text: the text; bytes that are not UTF-8 are lone surrogates in it.
        starts: for each character the offset of its first byte, or NOWHERE.
    """

    text: str
    starts: Sequence[int]


def width(character: str) -> int:
    """Return how many bytes a character of a view stands for."""
    return len(character.encode("utf-8", "surrogateescape"))


@dataclass(slots=True)
class _Writer:
    """Collects a view."""

    parts: list[str] = field(default_factory=list)
    starts: array[int] = field(default_factory=lambda: array("q"))

    def add(self, data: bytes, start: int) -> None:
        text = data.decode("utf-8", "surrogateescape")
        self.parts.append(text)
        if len(text) == len(data):
            self.starts.extend(range(start, start + len(data)))
            return
        for character in text:
            self.starts.append(start)
            start += width(character)

    def add_line_end(self) -> None:
        self.parts.append("\n")
        self.starts.append(NOWHERE)

    def add_row(self, text: str, starts: array[int], between: str) -> None:
        self.parts.append(text + between)
        self.starts.extend(starts)
        self.starts.extend([NOWHERE] * len(between))

    def view(self) -> TextView:
        return TextView(text="".join(self.parts), starts=self.starts)


def raw_view(data: bytes) -> TextView:
    """Return the bytes as they came."""
    writer = _Writer()
    writer.add(data, 0)
    return writer.view()


def line_view(data: bytes) -> TextView:
    """Return the text without escape sequences; a move to another row is a line end."""
    return _stream_view(data, keeps=b"\r\n\t", breaks=True)


def tight_view(data: bytes) -> TextView:
    """Return the printable characters alone, joined across whatever stands between them."""
    return _stream_view(data, keeps=b"", breaks=False)


def _stream_view(data: bytes, *, keeps: bytes, breaks: bool) -> TextView:
    writer = _Writer()
    for token in TOKEN.finditer(data):
        if token["text"] is None:
            if breaks and token["final"] is not None and token["final"][0] in ROW_MOVES:
                writer.add_line_end()
            continue
        for run in _RUNS.finditer(token["text"]):
            if (run[0][0] >= 0x20 and run[0][0] != 0x7F) or run[0] in keeps:
                writer.add(run[0], token.start() + run.start())
    return writer.view()


class CellScreen:
    """A terminal whose cells know which byte wrote them."""

    def __init__(self) -> None:
        self._screen: Any = pyte.Screen(COLUMNS, ROWS)
        self._stream: Any = pyte.Stream(self._screen)
        self._plain: Any = self._screen.cursor.attrs
        self._dirty: set[int] = set()

    def show(self, data: bytes, start: int = 0) -> Iterator[TextView]:
        """Show `data`; give views of what was written, before anything can remove it.

        `data` is whole sequences and characters, and `start` the offset of its first byte.
        """
        for token in TOKEN.finditer(data):
            if token["text"] is not None:
                yield from self._show_text(token["text"], start + token.start())
            elif token["final"] != b"m" and (known := for_pyte(token)):
                yield from self.look()
                self._feed(known)

    def look(self) -> Iterator[TextView]:
        """Give what was written since the last look, with the rows around it: row by row, and joined."""
        if not self._dirty:
            return
        rows = range(max(0, min(self._dirty) - 1), min(ROWS, max(self._dirty) + 2))
        self._dirty.clear()
        read = [self._read(row) for row in rows]
        for between in ("\n", ""):
            writer = _Writer()
            for text, starts in read:
                writer.add_row(text, starts, between)
            yield writer.view()

    def line_before_cursor(self) -> str:
        """Return what stands in the cursor's row up to the cursor."""
        cursor = self._screen.cursor
        cells = self._screen.buffer[cursor.y]
        return "".join(cells[column].data for column in range(cursor.x))

    def _show_text(self, text: bytes, start: int) -> Iterator[TextView]:
        for run in _RUNS.finditer(text):
            if run[0][0] < 0x20 or run[0][0] == 0x7F:
                yield from self.look()
                self._feed(run[0].decode("ascii"))
            else:
                self._draw(run[0].decode("utf-8", "surrogateescape"), start + run.start())

    def _draw(self, text: str, start: int) -> None:
        screen = self._screen
        for character in text:
            screen.cursor.attrs = self._plain._replace(fg=start)
            with _TRIPS:
                screen.draw(character)
            start += width(character)
            self._dirty.add(screen.cursor.y)
        screen.cursor.attrs = self._plain

    def _feed(self, data: str) -> None:
        with _TRIPS:  # it has reset its parser by then
            self._stream.feed(data)

    def _read(self, row: int) -> tuple[str, array[int]]:
        """Return a row's text and the bytes that wrote it; the second half of a wide character is empty."""
        cells = self._screen.buffer[row]
        shown = [cells[column] for column in range(COLUMNS) if cells[column].data]
        starts = array("q", [cell.fg if isinstance(cell.fg, int) else NOWHERE for cell in shown])
        return "".join([cell.data[0] for cell in shown]), starts


def align_cuts(data: bytes, offsets: Sequence[int]) -> list[int]:
    """Return the ascending `offsets`, each moved forward to where it cuts no sequence and no character."""
    cuts: list[int] = []
    tokens = TOKEN.finditer(data)
    token = next(tokens, None)
    for offset in offsets:
        while token is not None and token.end() <= offset:
            token = next(tokens, None)
        cut = min(offset, len(data))
        if token is not None and token.start() < cut:
            cut = token.end() if token["text"] is None else _skip_continuation(data, cut)
        cuts.append(max(cut, cuts[-1] if cuts else 0))
    return cuts


def _skip_continuation(data: bytes, at: int) -> int:
    most = min(at + 3, len(data))
    while at < most and 0x80 <= data[at] <= 0xBF:
        at += 1
    return at
