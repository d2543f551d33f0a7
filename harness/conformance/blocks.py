"""What the lines of a SAC session belong to: a boot's XML, an answer, a header, a bugcheck; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.conformance.lines import Line, menu_spans, read_lines, read_menus


class Part(StrEnum):
    """What a block is."""

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
        part: what they are.
        lines: they.
        command: what was answered, with ANSWER.
    """

    part: Part
    lines: tuple[Line, ...]
    command: str = ""

    @property
    def where(self) -> str:
        """Where it is, for people."""
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
"""The line with which a block ends, if it does."""
_MOST = {Part.EVENT: 2, Part.UNKNOWN: 2, Part.HEADER: 8}
_FIRMWARE = re.compile(rb"BdsDxe: ")


def read_blocks(output: bytes) -> list[Block]:
    """Return the blocks of a session's raw output, in order; what belongs to none is left out."""
    menus = [Block(part=Part.MENU, lines=tuple(rows)) for rows in read_menus(output) if rows]
    return [*menus, *_Reader(read_lines(output, menu_spans(output))).read()]


class _Reader:
    """Goes over lines once."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._at = 0
        self._begun = ""  # a command that an event interrupted

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

    def _is_over(self, part: Part, lines: Sequence[Line]) -> bool:
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

    def _ends_bugcheck(self, lines: Sequence[Line]) -> bool:
        """Tell whether the next line is another boot's."""
        line = self._lines[self._at]
        is_closed = any(one.text.startswith(b"</BP>") for one in lines)
        later = line.text.startswith(b"SAC>") or self._is_head(self._at) or _FIRMWARE.match(line.text)
        return is_closed and bool(later)

    def _is_head(self, at: int) -> bool:
        return 0 <= at < len(self._lines) and self._lines[at].text == b"<?xml>"

    def _answer(self, lines: list[Line]) -> Block | None:
        command = self._begun + lines[0].text[4:].decode("ascii", "replace")
        self._begun = ""
        following = self._lines[self._at].text if self._at < len(self._lines) else b""
        if len(lines) == 1:
            if command and following.startswith(b"EVENT:"):
                self._begun = command
            return None
        return Block(part=Part.ANSWER, lines=tuple(lines[1:]), command=command) if command.strip() else None

    def _login(self, lines: list[Line]) -> list[Line]:
        """Join a question with its answer, which a drawn screen puts into the next line; add the prompt."""
        joined: list[Line] = []
        for line in lines:
            before = joined[-1] if joined else None
            if before is not None and before.text == b"Username:" and not line.text.startswith(b"Domain"):
                text = before.text + b" " + line.text
                joined[-1] = Line(text=text, start=before.start, end=line.end)
            else:
                joined.append(line)
        if self._at < len(self._lines) and (prompt := _SHELL.match(self._lines[self._at].text)):
            here = self._lines[self._at]
            joined.append(Line(text=prompt[0], start=here.start, end=here.end))
        return joined


def _part_of(line: Line) -> Part | None:
    return next((part for part, pattern in _STARTS if pattern.match(line.text)), None)
