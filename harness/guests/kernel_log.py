"""The second look: what the guest's kernel log says of lines in a command's output."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from emulator.clock import Deadline
from emulator.console.marks import boot_starts
from harness.guests.own_lines import KernelLog, RecordLine, find_lines, find_records
from harness.play.session import Session
from harness.scenario.errors import GuestError

Ask: TypeAlias = Callable[[str, Deadline], bytes]
"""Runs a command and returns its user text."""
Spans: TypeAlias = tuple[tuple[int, int], ...]
_LOOK_S = 30.0
"""Seconds that a look may take; what a guest prints that shows no more by then is judged without one."""
_MOST_TIMES = 12
"""Times that are asked for one by one; beyond, the whole log is read."""
_LOG = "cat /proc/uptime /proc/sys/kernel/printk; dmesg -r 2>/dev/null | sed -n '%s'"
_LEVEL_AND_TIME = r"s/^<\([0-9]*\)>\[ *\([0-9.]*\)\].*/\1 \2/"
"""Of a record nothing is shown but its level and time: no text that a later wait might find again."""


class KernelReader:
    """Tells a command's own lines from the kernel's on one session's console."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def sort(self, start: int, end: int, ask: Ask, deadline: Deadline) -> tuple[Spans, Spans]:
        """Return the raw spans of the command's own bytes in `[start, end)`, and those of kernel records.

        The guest is asked only if something in there looks like a record. If it can't answer, the kernel is
        taken to have printed that.
        """
        lines = find_lines(self.session.transcript.read(start, end))
        log = self._look(lines, start, ask, deadline) if lines else None
        if log is not None:
            lines = [line for line in lines if not self._was_shown(line, start)]
        records = tuple((start + line.start, start + line.end) for line in find_records(lines, log))
        ends = (start, *(span[1] for span in records))
        own = zip(ends, (*(span[0] for span in records), end), strict=True)
        return tuple(span for span in own if span[0] < span[1]), records

    def _was_shown(self, line: RecordLine, before: int) -> bool:
        boots = [boot.offset for boot in boot_starts(self.session.transcript.marks) if boot.offset <= before]
        shown = self.session.transcript.read(boots[-1] if boots else 0, before)
        return re.search(re.escape(line.stamp + line.text) + rb"\r*\n", shown) is not None

    def _look(
        self, lines: Sequence[RecordLine], start: int, ask: Ask, deadline: Deadline
    ) -> KernelLog | None:
        times = sorted({line.time.decode() for line in lines})
        wanted = [f"/ {time}$/p" for time in times] if len(times) <= _MOST_TIMES else ["p"]
        try:
            said = ask(_LOG % ";".join((_LEVEL_AND_TIME, "1p", "$p", *wanted)), deadline.sooner(_LOOK_S))
        except GuestError:  # what ended it ends the next wait as well
            return None
        transcript = self.session.transcript
        elapsed = transcript.now() - transcript.arrival(max(0, start - 1))
        return read_log(said, elapsed=elapsed)


def read_log(said: bytes, *, elapsed: float) -> KernelLog | None:
    """Return the second look, `elapsed` seconds after the command began; None without an uptime."""
    uptime = re.search(rb"^(\d+\.\d+) \d+\.\d+\r*$", said, re.MULTILINE)
    if uptime is None:
        return None
    shown = re.search(rb"^(\d+)\t\d+\t\d+\t\d+\r*$", said, re.MULTILINE)
    logged = re.findall(rb"^(\d+) (\d+\.\d{6})\r*$", said, re.MULTILINE)
    times = [float(time) for _, time in logged]
    # The log's clock may be ahead of the uptime, by seconds on arm64's 6.1: until a kernel has chosen a clock
    # source it counts ticks, of which a busy host makes it lose some (docs/facts/qemu.md 9).
    now = max([float(uptime[1]), *times])
    return KernelLog(
        levels={time: int(level) & 7 for level, time in logged},
        oldest=min(times, default=float("inf")),
        shown=8 if shown is None else int(shown[1]),
        began=now - elapsed,
        ended=now,
    )
