"""Tell when a guest's boot has settled, so that a stimulus reaches it and not its firmware; pure."""

from __future__ import annotations

import re

from emulator.console.channel import Cursor
from emulator.console.transcript import Transcript

BOOT_S = 60.0
"""How long after its power-on a boot is over in any case."""
SILENCE_S = 2.0
"""How long a kernel that has printed is silent when its boot is over."""
LONG_SILENCE_S = 15.0
"""The same for a guest that has printed no kernel text: a menu that waits, a guest without a console."""
_TAIL = 1024
_ASKS = re.compile(rb"(?:^|[\r\n])(?:[A-Za-z0-9._-]+ login: |SAC>)")
_KERNEL = re.compile(rb"\[ *\d+\.\d{6}\](?:\[ *[TC] ?\d+\])? ")


class BootWatch:
    """Follows a guest's output from its power-on."""

    def __init__(self, *, position: int, began: float) -> None:
        self._position = position
        self._began = began
        self._cursor: Cursor | None = None
        self._last = began
        self._asks = False
        self._kernel_spoke = False
        self._tail = b"\n"

    def look(self, transcript: Transcript) -> float:
        """Read on, and return for how long nothing more may come until the boot is over; 0 when it is.

        It is over at a prompt for a login or of SAC, after a silence, and BOOT_S after its begin.
        """
        self._feed(transcript)
        now = transcript.now()
        silence = SILENCE_S if self._kernel_spoke else LONG_SILENCE_S
        left = min(self._last + silence, self._began + BOOT_S) - now
        return 0.0 if self._asks else max(0.0, left)

    def _feed(self, transcript: Transcript) -> None:
        cursor = self._cursor = self._cursor or Cursor(transcript, position=self._position)
        if not cursor.available():
            return
        text = self._tail + cursor.read(cursor.available())
        self._last = transcript.arrival(cursor.position - 1)
        self._asks = self._asks or _ASKS.search(text) is not None
        self._kernel_spoke = self._kernel_spoke or _KERNEL.search(text) is not None
        self._tail = text[-_TAIL:]
