"""What the host offers: how much of it a run may use, how many machines that carries, how fast its TSC is."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from emulator.clock import SYSTEM_CLOCK, Clock

MIB = 2**20
OVERSUBSCRIBE = 2.0
"""Machines per core: on 2 cores 1, 2, 4 and 8 cold boots at once gave 26, 36, 41 and 43 boots/min
(docs/facts/qemu.md 2), so more than two per core only cost memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBudget:
    """What this process may use: cores, a fraction where a cgroup says so, and free MiB."""

    cores: float
    memory_mib: int


def read_host_budget(root: Path = Path("/")) -> HostBudget:
    """Read what affinity and cgroup v2 leave of the host; `root` holds /proc and /sys."""
    cores = float(len(os.sched_getaffinity(0)))
    memory = psutil.virtual_memory().available
    for group in _cgroups(root):
        match _text(group / "cpu.max").split():
            case [quota, period] if quota.isdigit() and period.isdigit():
                cores = min(cores, int(quota) / int(period))
        limit, used = (_text(group / name).strip() for name in ("memory.max", "memory.current"))
        if limit.isdigit() and used.isdigit():
            memory = min(memory, max(0, int(limit) - int(used)))
    return HostBudget(cores=cores, memory_mib=memory // MIB)


def host_load() -> tuple[float, float, float]:
    """Return the host's load average over 1, 5 and 15 minutes: how many threads run or wait to run."""
    one, five, fifteen = os.getloadavg()
    return round(one, 2), round(five, 2), round(fifteen, 2)


def worker_count(
    cores: float,
    memory_mib: int,
    *,
    per_machine_mib: int,
    per_machine_cores: int = 1,
    oversubscribe: float = OVERSUBSCRIBE,
) -> int:
    """Return how many machines to run at once: at least 1, so that a small host is slow but not refused."""
    by_cores = int(cores * oversubscribe / per_machine_cores)
    return max(1, min(by_cores, memory_mib // per_machine_mib))


def _cgroups(root: Path) -> list[Path]:
    """Return this process's cgroup and its parents, of which the tightest limit counts."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        if line.startswith("0::/"):
            own = mount / line.removeprefix("0::/")
            return [own, *(parent for parent in own.parents if parent.is_relative_to(mount))]
    return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""  # without this controller there is no such limit


_RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
_WINDOW_S = 0.05  # enough for 1 in 10,000, as measured: five windows agreed to 0.3 kHz of 2,596,140
_TRIES = 20
_ROUND_KHZ = 100


@cache
def measure_tsc_khz(clock: Clock = SYSTEM_CLOCK) -> int | None:
    """Return the host's TSC frequency in kHz, rounded to 100; None where the counter can't be read.

    Takes 50 ms, once per process.
    """
    if platform.machine() != "x86_64":
        return None
    try:
        with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
            page.write(_RDTSC)
            return _measure(page, clock)
    except OSError:
        return None  # a hardened kernel grants no page that is both writable and executable


def _measure(page: mmap.mmap, clock: Clock) -> int:
    anchor = ctypes.c_char.from_buffer(page)
    try:
        read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(anchor))
        began, first = _sample(read, clock)
        clock.sleep(_WINDOW_S)
        ended, second = _sample(read, clock)
    finally:
        del anchor  # the page can't be unmapped while it is exported
    return round((second - first) / (ended - began) / 1000 / _ROUND_KHZ) * _ROUND_KHZ


def _sample(read: Callable[[], int], clock: Clock) -> tuple[float, int]:
    """Return a moment and the counter then, from the try that was interrupted least."""
    tries = []
    for _ in range(_TRIES):
        before = clock.monotonic()
        count = read()
        after = clock.monotonic()
        tries.append((after - before, (before + after) / 2, count))
    _, at, count = min(tries)
    return at, count
