"""Where a Windows boot begins, read off the wire alone: for consoles that no machine tells about; pure.

The banner is no sign: it is redrawn whenever SAC's channel is viewed. `machine-info` is sent once a boot and
never redrawn, but inside a bugcheck's XML too; firmware and boot manager come before it
(spec/windows-sac.md 1.2, 1.4, 1.11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SIGNS = re.compile(
    rb"(?P<bugcheck><INSTANCE CLASSNAME=\"BLUESCREEN\">.{0,8000}?</INSTANCE>)"
    rb"|(?P<firmware>BdsDxe: (?:loading|starting) Boot[0-9A-Fa-f]{4})"
    rb"|(?P<menu>\x1b\[2J\x1b\[1;1H\x1b\[0m\x1b\[37;40m)"
    rb"|(?P<info>(?:<\?xml>\r\n)?<machine-info>)",
    re.DOTALL,
)
_NAMES = {"firmware": "BdsDxe", "menu": "boot manager", "info": "machine-info"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSign:
    """What says that a boot has begun.

    Attributes:
        name: "BdsDxe", "boot manager" or "machine-info".
        start: offset of its first byte in the bytes that were searched.
    """

    name: str
    start: int


def find_boots(data: bytes) -> tuple[BootSign, ...]:
    """Return the first sign of each boot in the raw bytes `data`, in order.

    Signs belong to one boot up to and with its `machine-info`. What stands inside a bugcheck is none, and an
    unfinished bugcheck ends the search.
    """
    boots: list[BootSign] = []
    is_open = False
    position = 0
    while (found := _SIGNS.search(data, position)) is not None:
        position = found.end()
        kind = found.lastgroup or ""
        if kind == "bugcheck":
            is_open = False
            continue
        if kind == "info" and _is_inside_bugcheck(data, found.start()):
            break
        if not is_open:
            boots.append(BootSign(name=_NAMES[kind], start=found.start()))
        is_open = kind != "info"
    return tuple(boots)


def _is_inside_bugcheck(data: bytes, at: int) -> bool:
    """Tell whether a bugcheck's XML was begun before `at`, and has not ended yet."""
    return data.rfind(b'<INSTANCE CLASSNAME="BLUESCREEN">', max(0, at - 8000), at) > data.rfind(
        b"</INSTANCE>", max(0, at - 8000), at
    )
