"""A console's bytes as the lines that were written, each with its place in the transcript; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyte

from harness.plain_view import COLUMNS, PlainView

_MENU = re.compile(rb"\x1b\[2J\x1b\[1;1H\x1b\[0m\x1b\[37;40m")
_CLEAR = re.compile(rb"\x1b\[2J")
_ROWS = 25
_MORE = re.compile(rb"----Press <Enter> for more----[ \x08\r]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line.

    Attributes:
        text: without blanks at its end.
        start, end: raw span in the transcript.
        is_padded: whether blanks fill it up to column 80: a row of a screen that is drawn again.
    """

    text: bytes
    start: int
    end: int
    is_padded: bool = False


def read_lines(output: bytes, skip: Sequence[tuple[int, int]] = ()) -> list[Line]:
    """Return the lines of `output` that are not empty, but those that begin in one of the spans `skip`."""
    view = PlainView()
    view.feed(output)
    text, lines, position = view.read(0), list[Line](), 0
    for raw in text.split(b"\n"):
        end = position + len(raw)
        shown = _rendered(_MORE.sub(b"", raw.strip(b"\r")))
        if shown:
            shown = shown.removeprefix(b"SAC>") if shown.startswith(b"SAC><") else shown
            first, last = view.raw_span(position, max(end, position))
            padded = len(raw.strip(b"\r")) >= COLUMNS and raw.strip(b"\r").endswith(b" ")
            if not any(begin <= first < stop for begin, stop in skip):
                lines.append(Line(text=shown, start=first, end=last, is_padded=padded))
        position = end + 1
    return lines


def read_menus(output: bytes) -> list[list[Line]]:
    """Return what stood on the screen while the boot manager had it, row by row, last."""
    return [_screen(output, start, end) for start, end in menu_spans(output)]


def menu_spans(output: bytes) -> list[tuple[int, int]]:
    """Return the raw spans in which the boot manager had the screen."""
    spans = []
    for found in _MENU.finditer(output):
        following = _CLEAR.search(output, found.end())
        spans.append((found.start(), len(output) if following is None else following.start()))
    return spans


def _screen(output: bytes, start: int, end: int) -> list[Line]:
    screen: Any = pyte.Screen(COLUMNS, _ROWS)
    stream: Any = pyte.ByteStream(screen)
    stream.feed(output[start:end])
    rows = (str(row).strip() for row in screen.display)
    return [Line(text=row.encode(), start=start, end=end) for row in rows if row]


def _rendered(raw: bytes) -> bytes:
    """Return what a line shows whose backspaces and carriage returns have moved the cursor."""
    if b"\x08" not in raw and b"\r" not in raw:
        return raw.rstrip()
    shown, column = bytearray(), 0
    for byte in raw:
        if byte in b"\x08\r":
            column = max(0, column - 1) if byte == 0x08 else 0
            continue
        shown[column : column + 1] = bytes([byte])
        column += 1
    return bytes(shown).rstrip()
