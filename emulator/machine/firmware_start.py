"""The first moments of firmware: when it may be reset, and whether it has hung there."""

from __future__ import annotations

from collections.abc import Callable

from emulator.clock import Deadline
from emulator.console.marks import last_start
from emulator.console.transcript import Transcript

FIRMWARE_S = 2.0
"""When firmware that writes nothing may be reset, in seconds from its start."""
STUCK_CPU_S = 10.0
STUCK_SHARE = 0.1
"""From how much CPU on a silent guest counts as stuck, in seconds and as a share of its time.

OVMF, the slowest, writes after 2 to 4 s of CPU; a guest that is silent and idle takes 1 % of a core.
"""


def await_firmware(transcript: Transcript, deadline: Deadline, *, runs: Callable[[], bool]) -> None:
    """Return once the guest has written since its firmware began, or that was FIRMWARE_S ago.

    It returns at the deadline too, and once `runs` says that the guest does not run.
    """
    while runs() and transcript.closed is None and not deadline.expired():
        version, start = transcript.version, last_start(transcript.marks)
        if start is None or len(transcript) > start.offset:
            return
        wait_s = start.at + FIRMWARE_S - transcript.now()
        if wait_s <= 0:
            return
        transcript.wait_change(version, deadline.sooner(wait_s))


def is_stuck(transcript: Transcript, *, spun_s: float) -> bool:
    """Tell whether a guest has only spun, for `spun_s` seconds of CPU, since its firmware began."""
    start = last_start(transcript.marks)
    if start is None or len(transcript) > start.offset:
        return False
    return spun_s >= max(STUCK_CPU_S, STUCK_SHARE * (transcript.now() - start.at))
