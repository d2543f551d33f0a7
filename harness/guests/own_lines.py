"""Which of the lines in a command's output that look like kernel records are the kernel's; pure.

The kernel prints each record once, whole, when it is logged. So a line is the command's own if the console
has shown it before (`dmesg`), if the kernel's log has no such record (`echo`), or if that is older than the
command or of a level that the console does not show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from emulator.guest_text.linux import LEVEL, STAMP

_LINE = re.compile(rb"(?=((?:" + LEVEL + rb")?(" + STAMP + rb")([^\n]*)\n))")
_SLACK_S = 1.0
"""How far the clocks of host, guest and its kernel's log may be apart over a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine:
    """What may be a kernel record: `[start, end)` of some bytes, its line end included."""

    start: int
    end: int
    stamp: bytes
    text: bytes

    @property
    def time(self) -> bytes:
        """The stamp's number: `12.345678`."""
        return self.stamp.strip(b"[] ")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLog:
    """A second look, taken behind a command.

    Attributes:
        levels: of the records by `RecordLine.time`, for the times that were asked for and the oldest.
        oldest: time of the oldest record that the log still has.
        shown: the console shows records with levels below this.
        began, ended: the log's clock when the command began, and when the look was taken.
    """

    levels: dict[bytes, int]
    oldest: float
    shown: int
    began: float
    ended: float


def find_lines(data: bytes) -> list[RecordLine]:
    """Return everything in `data` that may be a record; one may lie in the text of another."""
    return [
        RecordLine(start=found.start(), end=found.end(1), stamp=found[2], text=found[3].rstrip(b"\r"))
        for found in _LINE.finditer(data)
        if found[1].startswith(b"<")
        or not re.search(LEVEL + rb"\Z", data[max(0, found.start() - 5) : found.start()])
    ]


def find_records(lines: Sequence[RecordLine], log: KernelLog | None) -> list[RecordLine]:
    """Return those of `lines`, which the console had not shown before, that the kernel printed.

    Without a second look it is all of them, but for what lies in another's text.
    """
    records: list[RecordLine] = []
    known: set[tuple[bytes, bytes]] = set()
    for line in lines:
        inside = bool(records) and line.start < records[-1].end
        name = (line.stamp, line.text)
        if not inside and (log is None or (name not in known and _is_logged(line, log))):
            records.append(line)
            known.add(name)
    return records


def _is_logged(line: RecordLine, log: KernelLog) -> bool:
    time = float(line.time)
    if not log.began - _SLACK_S <= time <= log.ended + _SLACK_S:
        return False
    return time < log.oldest or log.levels.get(line.time, log.shown) < log.shown
