"""Where boots begin in a log that has no marks of a machine: by the first words of what starts one; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emulator.guest_text.escapes import LEAD
from emulator.guest_text.linux import CALLER

_LINE = rb"^" + LEAD
# In the order of a boot; what comes again, or before what was seen last, begins the next one. Some programs
# say their words more than once in a boot.
_SIGNS = (
    (rb"SeaBIOS \(version |" + _LINE + rb"U-Boot SPL \d{4}\.", True),
    (_LINE + rb"OpenSBI v\d", True),
    (rb"BdsDxe: (?:loading|starting) Boot[0-9A-F]{4} ", False),
    (_LINE + rb"U-Boot \d{4}\.", True),
    (_LINE + rb"(?:Welcome to GRUB!|GRUB loading)", False),
    (rb"(?:" + _LINE + rb"|\[ {0,4}0\.0+\](?:" + CALLER + rb")? |kernel: )Linux version \d", True),
)
_ANY = re.compile(b"|".join(b"(" + sign + b")" for sign, _ in _SIGNS), re.MULTILINE)
_REPEATS = tuple(repeats for _, repeats in _SIGNS)


class BootFinder:
    """Finds boots in a log, line by line.

    A log that begins amid a boot begins the next one with the first sign. What a shell prints of such a text
    (`dmesg`) can't be told apart and counts as a boot.
    """

    def __init__(self) -> None:
        self._last = len(_SIGNS)

    def find(self, lines: bytes) -> Iterator[int]:
        """Yield where boots begin in the next whole `lines`: offsets of lines, ascending."""
        for sign in _ANY.finditer(lines):
            place = (sign.lastindex or 1) - 1
            if place < self._last or (place == self._last and _REPEATS[place]):
                yield lines.rfind(b"\n", 0, sign.end()) + 1
            self._last = place
