"""What /proc says of a process; a pid alone names nobody, since the kernel reuses it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
DEAD_STATES = frozenset("ZXx")
STATE_WORDS = {
    "T": "stopped",
    "t": "stopped by a debugger",
    "D": "in an uninterruptible wait",
    "Z": "a zombie",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStat:
    """One moment of a process.

    Attributes:
        state: the kernel's letter: R, S, D, T, Z ...
        start_ticks: when it started, in clock ticks since the host's boot.
    """

    state: str
    start_ticks: int

    @property
    def alive(self) -> bool:
        """Tell whether it still can do anything."""
        return self.state not in DEAD_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process and never another: its pid together with its start and the host's boot."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Return the identity of the process that has `pid` now, None if there is none."""
        stat = read_stat(pid)
        return None if stat is None else cls(pid=pid, start_ticks=stat.start_ticks, boot_id=boot_id())

    def alive(self) -> bool:
        """Tell whether this very process lives; a zombie does not."""
        stat = read_stat(self.pid)
        return (
            stat is not None
            and stat.alive
            and stat.start_ticks == self.start_ticks
            and boot_id() == self.boot_id
        )


def parse_stat(text: bytes) -> ProcessStat:
    """Read a line of /proc/PID/stat: proc(5), fields 3 and 22.

    The name in field 2 may hold blanks and parentheses, so the last ')' ends it.
    """
    fields = text[text.rindex(b")") + 1 :].split()
    return ProcessStat(state=fields[0].decode("ascii"), start_ticks=int(fields[19]))


def read_stat(pid: int) -> ProcessStat | None:
    """Return the present moment of a process, None if there is no such process."""
    try:
        return parse_stat((PROC / str(pid) / "stat").read_bytes())
    except (OSError, ValueError, IndexError):
        return None


def describe_state(pid: int) -> str:
    """Return a phrase such as "stopped (state T)" for messages."""
    stat = read_stat(pid)
    if stat is None:
        return "gone"
    return f"{STATE_WORDS.get(stat.state, 'alive')} (state {stat.state})"


def boot_id() -> str:
    """Return the id of this boot of the host."""
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def find_marked(variable: str, value: str) -> int | None:
    """Return the pid of a live process of ours whose environment holds `variable=value`, or None."""
    marker = f"{variable}={value}".encode()
    for entry in PROC.iterdir():
        if entry.name.isdigit() and marker in _environment(entry):
            stat = read_stat(int(entry.name))
            if stat is not None and stat.alive:
                return int(entry.name)
    return None


def _environment(entry: Path) -> list[bytes]:
    try:
        if entry.stat().st_uid != os.getuid():
            return []
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
