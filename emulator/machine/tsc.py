"""The host's TSC frequency, which under TCG is the guest's.

Under TCG the guest reads the host's TSC, and calibrates it against the PIT. On a loaded host the
calibration was seen to be wrong by a factor of three (6.1 on QEMU 7.2, 6 busy processes on 2 cores): the
guest's clock ran fast and it reported an RCU stall of 25 s after 9 s. So the guest is told the frequency
(`tsc_early_khz=`, Linux >= 4.20): a lab fault must not look like a guest fault.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
from collections.abc import Callable
from functools import cache

from emulator.clock import SYSTEM_CLOCK, Clock

_RDTSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")
"""rdtsc; shl rdx, 32; or rax, rdx; ret."""
_WINDOW_S = 0.05
"""Long enough for 1 in 10,000, as measured: five windows agreed to 0.3 kHz of 2,596,140."""
_TRIES = 20
_ROUND_KHZ = 100


@cache
def measure_tsc_khz(clock: Clock = SYSTEM_CLOCK) -> int | None:
    """Return the host's TSC frequency in kHz, rounded to 100; None where there is no such counter to read.

    Takes 50 ms once in a process.
    """
    if platform.machine() != "x86_64":
        return None
    try:
        with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
            page.write(_RDTSC)
            return _measure(page, clock)
    except OSError:
        return None  # a hardened kernel gives no page that can be written and executed


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
    """Return a moment and the counter at it: of several tries the one that was interrupted least."""
    tries = []
    for _ in range(_TRIES):
        before = clock.monotonic()
        count = read()
        after = clock.monotonic()
        tries.append((after - before, (before + after) / 2, count))
    _, at, count = min(tries)
    return at, count
