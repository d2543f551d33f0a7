"""What shows on a console that SAC will not come, and why; pure.

Each program writes its text unprompted on a serial console. Silent ones can't be told apart: a boot record
that hangs, Windows without EMS, a system whose console is elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulator.guest_text.escapes import seen
from emulator.guest_text.linux import KERNEL

NOTHING_BOOTS = "nothing boots"
NOT_WINDOWS = "no Windows"
EMS_OFF = "EMS is off"
DEBUGGER = "a kernel debugger has the port"
NO_CMD = "SAC without CMD"
SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Where a guest is that will not reach SAC.

    Attributes:
        pattern: matches the raw bytes.
        state: where, in a few words.
        why: what that means, and what would help.
    """

    pattern: re.Pattern[bytes]
    state: str
    why: str


def _not_windows(pattern: bytes, who: str) -> Elsewhere:
    compiled = re.compile(pattern, re.MULTILINE)
    return Elsewhere(pattern=compiled, state=NOT_WINDOWS, why=f"{who} is what boots")


ELSEWHERE: tuple[Elsewhere, ...] = (
    Elsewhere(
        pattern=re.compile(rb"======== Microsoft Azure VM Health Report - Start"),
        state=EMS_OFF,
        why="the Azure health report stands where SAC would be; `bcdedit /ems on` in the guest",
    ),
    Elsewhere(
        pattern=re.compile(rb"KDTARGET: |iiii[\x00-\x0c]\x00|0000[\x01-\x0c]\x00"),
        state=DEBUGGER,
        why="KD packets instead of SAC, which takes no input; `bcdedit /debug off`, or another port for it",
    ),
    _not_windows(KERNEL, "Linux"),
    _not_windows(rb"GNU GRUB |Welcome to GRUB!", "GRUB, or another system behind it,"),
    _not_windows(rb"^(?:ISO|SYS|PXE|EXT)LINUX \d", "a loader for Linux (SYSLINUX)"),
    _not_windows(rb"^systemd-boot \d|^U-Boot (?:SPL )?\d{4}\.", "another loader than Windows'"),
    _not_windows(rb"^iPXE \d|^iPXE initialising devices", "iPXE, from the network,"),
    _not_windows(rb"BTX loader \d|FreeBSD/[^\n]* bootstrap loader", "FreeBSD"),
    _not_windows(rb"^[\w.-]{1,64} login: ", "a system with a Unix login"),
)
NO_BOOT_ALARMS = ("no-boot-device", "uefi-shell")
"""Alarms that the firmware found nothing to start."""
CMD_UNAVAILABLE = rb"EVENT: The CMD command is unavailable\.\r\n"

_FIRMWARE = re.compile(rb"BdsDxe: [^\r\n]*|SeaBIOS [^\r\n]*|Booting from [^\r\n]*|\s")
_STARTED = re.compile(rb'BdsDxe: starting (Boot[0-9A-F]{4} "[^"\r\n]{0,80}")')


def found_nothing(firmware: bytes) -> bool:
    """Tell whether SeaBIOS, by its own words, found nothing to start in its latest boot."""
    return b"No bootable device." in firmware[firmware.rfind(b"SeaBIOS (version ") + 1 :]


def find_elsewhere(data: bytes) -> Elsewhere | None:
    """Return the first entry of the table whose text is in `data`; None if SAC may still come."""
    return next((one for one in ELSEWHERE if one.pattern.search(data)), None)


def describe_silence(data: bytes) -> str | None:
    """Return what is known of a guest that wrote only its firmware's text; None if it wrote more."""
    if _FIRMWARE.sub(b"", seen(data)):
        return None
    started = _STARTED.findall(data)
    rest = "EMS is off, Windows hangs, or needs longer; or it is no Windows, and its console is elsewhere"
    if started:
        what = started[-1].decode("ascii", "replace")
        return f"the firmware started {what}, and nothing came after it: {rest}"
    return f"nothing was written: {rest}"
