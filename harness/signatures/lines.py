"""Logical lines of a console: where they end, and what is left without stamps and colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from emulator.guest_text.linux import CALLER, LEVEL, LOGGED_STAMP

LONGEST_LINE = 8192  # bytes; longer ones are cut, so that no guest can make the scanner keep all it says

# A cursor that jumps begins a new line as much as a line feed does: GRUB and firmware draw so.
_BOUNDARY = re.compile(rb"\r*\n|\r+(?=[^\r\n])|\x1b\[[0-9;]*[HJf]|\x1bc")
_ESCAPE = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-B]|[=>78])")
# [   12.345678], the caller [ T12] or [ C0], and vendors' [1: comm: 12]
_STAMP = re.compile(
    rb"(?:" + LEVEL + rb")?" + LOGGED_STAMP + rb"((?:\s?" + CALLER + rb")?)"
    rb"(?:\s*\[\d+:\s*[^\]\n]{1,24}:\s*\d+\])? ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One logical line.

    Attributes:
        start: first byte, as raw offset.
        end: one past the last byte, without the line end.
        shown: what stands there, without escape sequences.
        text: `shown` without what stands before and in the kernel's stamp.
        context: who printed it (`T12`, `C0`), empty if the kernel does not say.
    """

    start: int
    end: int
    shown: bytes
    text: bytes
    context: bytes


def split_lines(data: bytes, *, offset: int) -> Iterator[Line]:
    """Give the logical lines of `data`, whose first byte has the raw offset `offset`."""
    position = 0
    for boundary in _BOUNDARY.finditer(data):
        yield parse_line(data[position : boundary.start()], offset=offset + position)
        position = boundary.end()
    if position < len(data):
        yield parse_line(data[position:], offset=offset + position)


def parse_line(raw: bytes, *, offset: int) -> Line:
    """Return `raw`, which holds no line end, as a line."""
    shown = _ESCAPE.sub(b"", raw) if b"\x1b" in raw else raw
    stamp = _STAMP.search(shown)
    text, context = (shown, b"") if stamp is None else (shown[stamp.end() :], stamp[1].strip(b" []"))
    return Line(start=offset, end=offset + len(raw), shown=shown, text=text, context=context)
