"""The blocks that the lines of a SAC session belong to: XML, answers, headers, a bugcheck; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyte

from harness.play.views import COLUMNS, PlainView

_MENU = re.compile(rb"\x1b\[2J\x1b\[1;1H\x1b\[0m\x1b\[37;40m")
_CLEAR = re.compile(rb"\x1b\[2J")
_ROWS = 25
_MORE = re.compile(rb"----Press <Enter> for more----[ \x08\r]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SacLine:
    """One line.

    Attributes:
        text: without blanks at its end.
        start, end: raw span in the transcript.
        is_padded: whether blanks fill it up to column 80: it is a row of a screen that is redrawn.
    """

    text: bytes
    start: int
    end: int
    is_padded: bool = False


def _read_lines(output: bytes, skip: Sequence[tuple[int, int]]) -> list[SacLine]:
    """Return the lines of `output` that are not empty and do not begin in one of the spans `skip`."""
    view = PlainView()
    view.feed(output)
    text, lines, position = view.read(0), list[SacLine](), 0
    for raw in text.split(b"\n"):
        end, row = position + len(raw), raw.strip(b"\r")
        shown = _rendered(_MORE.sub(b"", row))
        if shown:
            shown = shown.removeprefix(b"SAC>") if shown.startswith(b"SAC><") else shown
            first, last = view.raw_span(position, end)
            padded = len(row) >= COLUMNS and row.endswith(b" ")
            if not any(begin <= first < stop for begin, stop in skip):
                lines.append(SacLine(text=shown, start=first, end=last, is_padded=padded))
        position = end + 1
    return lines


def _menu_spans(output: bytes) -> list[tuple[int, int]]:
    """Return the raw spans in which the boot manager had the screen."""
    spans = []
    for found in _MENU.finditer(output):
        following = _CLEAR.search(output, found.end())
        spans.append((found.start(), len(output) if following is None else following.start()))
    return spans


def _screen(output: bytes, start: int, end: int) -> list[SacLine]:
    """Return the rows of the screen that these bytes leave, without the empty ones."""
    screen: Any = pyte.Screen(COLUMNS, _ROWS)
    stream: Any = pyte.ByteStream(screen)
    stream.feed(output[start:end])
    rows = (str(row).strip() for row in screen.display)
    return [SacLine(text=row.encode(), start=start, end=end) for row in rows if row]


def _rendered(raw: bytes) -> bytes:
    """Return what a line shows after its backspaces and carriage returns have moved the cursor."""
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


class Part(StrEnum):
    """Kinds of blocks."""

    MENU = "the boot menu"
    MACHINE_INFO = "machine-info"
    BANNER = "the banner"
    EVENT = "an event"
    ANSWER = "an answer"
    SWITCH = "channel-switch"
    HEADER = "a channel's header"
    LOGIN = "a login"
    UNKNOWN = "cmd's answer to what is no command"
    BUGCHECK = "a bugcheck"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines that belong together.

    Attributes:
        part: what kind they are.
        lines: the lines.
        command: of an ANSWER, the command that it answers.
    """

    part: Part
    lines: tuple[SacLine, ...]
    command: str = ""

    @property
    def where(self) -> str:
        """Where the block is, for people."""
        return f"the answer to `{self.command}`" if self.part is Part.ANSWER else self.part.value


_SHELL = re.compile(rb"[A-Z]:\\[^<>|]*>")
_STARTS: tuple[tuple[Part, re.Pattern[bytes]], ...] = (
    (Part.BUGCHECK, re.compile(rb"<BP>")),
    (Part.MACHINE_INFO, re.compile(rb"<machine-info>")),
    (Part.SWITCH, re.compile(rb"<channel-switch>")),
    (Part.HEADER, re.compile(rb"Name:  +\S")),
    (Part.BANNER, re.compile(rb"Computer is booting")),
    (Part.EVENT, re.compile(rb"EVENT:")),
    (Part.ANSWER, re.compile(rb"SAC>")),
    (Part.LOGIN, re.compile(rb"Please enter login")),
    (Part.UNKNOWN, re.compile(rb"'[^']*' is not recognized")),
)
_LAST: dict[Part, re.Pattern[bytes]] = {
    Part.MACHINE_INFO: re.compile(rb"</machine-info>"),
    Part.SWITCH: re.compile(rb"</channel-switch>"),
    Part.HEADER: re.compile(rb"Use any other key"),
    Part.EVENT: re.compile(rb"Channel: "),
}
"""The line with which a block ends, where there is one."""
_MOST = {Part.EVENT: 2, Part.UNKNOWN: 2, Part.HEADER: 8}
_FIRMWARE = re.compile(rb"BdsDxe: ")


def read_blocks(output: bytes) -> list[Block]:
    """Return the blocks of a session's raw output, in order; lines that belong to none are left out."""
    spans = _menu_spans(output)
    screens = [_screen(output, start, end) for start, end in spans]
    menus = [Block(part=Part.MENU, lines=tuple(rows)) for rows in screens if rows]
    return [*menus, *_Reader(_read_lines(output, spans)).read()]


class _Reader:
    """Groups lines into blocks, in one pass."""

    def __init__(self, lines: Sequence[SacLine]) -> None:
        self._lines = lines
        self._at = 0
        self._begun = ""  # a command that an event has interrupted

    def read(self) -> list[Block]:
        blocks: list[Block] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            part = _part_of(line)
            if part is None or (line.is_padded and part is not Part.LOGIN):
                self._at += 1
            elif (block := self._take(part)) is not None:
                blocks.append(block)
        return blocks

    def _take(self, part: Part) -> Block | None:
        lines = [self._lines[self._at]]
        if part in {Part.MACHINE_INFO, Part.BUGCHECK} and self._is_head(self._at - 1):
            lines.insert(0, self._lines[self._at - 1])
        self._at += 1
        while self._at < len(self._lines) and not self._is_over(part, lines):
            lines.append(self._lines[self._at])
            self._at += 1
        if part is Part.ANSWER:
            return self._answer(lines)
        if part is Part.LOGIN:
            lines = self._login(lines)
        return Block(part=part, lines=tuple(lines))

    def _is_over(self, part: Part, lines: Sequence[SacLine]) -> bool:
        line = self._lines[self._at]
        last = _LAST.get(part)
        if (last is not None and last.match(lines[-1].text)) or len(lines) >= _MOST.get(part, 1000):
            return True
        if part in {Part.MACHINE_INFO, Part.SWITCH}:
            return line.text.startswith(b"SAC>")
        if part is Part.BUGCHECK:
            return self._ends_bugcheck(lines)
        return (
            line.is_padded
            or _FIRMWARE.match(line.text) is not None
            or self._is_head(self._at)
            or _part_of(line) not in {None, Part.UNKNOWN}
            or (part in {Part.LOGIN, Part.UNKNOWN} and _SHELL.match(line.text) is not None)
        ) and not (part is Part.LOGIN and line.is_padded and len(lines) < 2)

    def _ends_bugcheck(self, lines: Sequence[SacLine]) -> bool:
        """Tell whether the next line belongs to another boot."""
        line = self._lines[self._at]
        is_closed = any(one.text.startswith(b"</BP>") for one in lines)
        later = line.text.startswith(b"SAC>") or self._is_head(self._at) or _FIRMWARE.match(line.text)
        return is_closed and bool(later)

    def _is_head(self, at: int) -> bool:
        return 0 <= at < len(self._lines) and self._lines[at].text == b"<?xml>"

    def _answer(self, lines: list[SacLine]) -> Block | None:
        command = self._begun + lines[0].text[4:].decode("ascii", "replace")
        self._begun = ""
        following = self._lines[self._at].text if self._at < len(self._lines) else b""
        if len(lines) == 1:
            if command and following.startswith(b"EVENT:"):
                self._begun = command
            return None
        return Block(part=Part.ANSWER, lines=tuple(lines[1:]), command=command) if command.strip() else None

    def _login(self, lines: list[SacLine]) -> list[SacLine]:
        """Join a question and its answer, which a drawn screen puts on the next line, and add the prompt."""
        joined: list[SacLine] = []
        for line in lines:
            before = joined[-1] if joined else None
            if before is not None and before.text == b"Username:" and not line.text.startswith(b"Domain"):
                text = before.text + b" " + line.text
                joined[-1] = SacLine(text=text, start=before.start, end=line.end)
            else:
                joined.append(line)
        if self._at < len(self._lines) and (prompt := _SHELL.match(self._lines[self._at].text)):
            here = self._lines[self._at]
            joined.append(SacLine(text=prompt[0], start=here.start, end=here.end))
        return joined


def _part_of(line: SacLine) -> Part | None:
    return next((part for part, pattern in _STARTS if pattern.match(line.text)), None)
