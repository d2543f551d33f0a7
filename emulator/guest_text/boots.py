"""What shows that a guest's boot has come to a loader or a system, and that it has settled; pure."""

from __future__ import annotations

import re

from emulator.guest_text import linux, sac

LOADER = re.compile(rb"GNU GRUB|GRUB loading|EFI stub:|Windows Boot Manager")
"""The first words of what starts a system."""
SYSTEM = re.compile(linux.BEGINS + rb"|" + re.escape(sac.DOCUMENT))
"""The first words of a system: Linux', or SAC's of a Windows."""

BOOT_S = 60.0
"""How long after its power-on a boot is over in any case."""
SILENCE_S = 2.0
"""How long a kernel that has printed is silent when its boot is over."""
LONG_SILENCE_S = 15.0
"""The same for a guest that has printed no kernel text: a menu that waits, a guest without a console."""
_TAIL = 1024
_ASKS = re.compile(rb"(?:^|[\r\n])(?:[A-Za-z0-9._-]+ login: |SAC>)")
_KERNEL = re.compile(linux.RECORD)


class BootWatch:
    """Tells from a guest's output since its power-on when a stimulus would reach it and not its firmware."""

    def __init__(self, *, began: float) -> None:
        self._began = began
        self._last = began
        self._asks = False
        self._kernel_spoke = False
        self._tail = b"\n"

    def feed(self, data: bytes, at: float) -> None:
        """Take the next bytes, of which the last came at `at`."""
        text = self._tail + data
        self._last = at
        self._asks = self._asks or _ASKS.search(text) is not None
        self._kernel_spoke = self._kernel_spoke or _KERNEL.search(text) is not None
        self._tail = text[-_TAIL:]

    def remaining(self, now: float) -> float:
        """Return for how long nothing more may come until the boot is over; 0 when it is.

        It is over at a prompt for a login or of SAC, after a silence, and BOOT_S after its begin.
        """
        silence = SILENCE_S if self._kernel_spoke else LONG_SILENCE_S
        left = min(self._last + silence, self._began + BOOT_S) - now
        return 0.0 if self._asks else max(0.0, left)
