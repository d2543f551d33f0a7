"""Why nobody answers on ttyS0, as far as the screen and the CPUs tell; pure."""

from __future__ import annotations

import re

from emulator.guest_text.escapes import seen
from emulator.guest_text.linux import KERNEL
from emulator.guest_text.printable import visible
from emulator.machine.glance import Glance
from harness.signatures.scanner import scan_boots

_LOGIN = re.compile(r"(?<!Last )login:|[Pp]assword:")
_SHELL = re.compile(r"[#$] ?$")
_BOOTED = re.compile(r"Linux version |\[ *\d+\.\d{6}\]|\[  OK  \]|systemd|Starting |udev")
_ROW_MOST = 100
_PARAMETER = "console=ttyS0,115200"
_WHERE = "to its kernel parameters (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub)"
_ADD = f"add {_PARAMETER} {_WHERE}"
ELSEWHERE = f"the kernel's lines are not on TTY: add console=TTY {_WHERE}"
"""Why a guest's kernel can't be watched, and the remedy; TTY is its terminal."""


def explain(shown: bytes, look: Glance, *, starts_kernel: bool) -> str:
    """Return in one line why no login came on ttyS0, given what it has shown; empty if nothing tells.

    `starts_kernel` says that QEMU starts the kernel itself, with `console=ttyS0`.
    """
    speaks = re.search(KERNEL, seen(shown)) is not None
    asks = any(map(_LOGIN.search, look.rows[-3:]))
    if speaks and not asks:
        return f"the CPU {look.cpu}" if look.is_stuck else ""
    begins = "no byte came on ttyS0" if not shown.strip() else "no kernel wrote on ttyS0"
    parts = ["the kernel writes on ttyS0, but nobody asks for a login there" if speaks else begins]
    parts += [_screen(look), *([f"the CPU {look.cpu}"] if look.cpu else [])]
    return f"{', '.join(parts)}{_hint(look, speaks=speaks, asks=asks, starts_kernel=starts_kernel)}"


def ends_on_screen(shown: bytes, look: Glance) -> bool:
    """Tell whether the screen says why a boot ended of which ttyS0 shows no kernel: a panic, no disk."""
    if re.search(KERNEL, seen(shown)) is not None:
        return False
    text = "\n".join([*look.rows, ""]).encode()
    return any(one.fatal and not one.suppressed for one in scan_boots(text, ()))


def _screen(look: Glance) -> str:
    if look.rows:
        return f"the screen says {visible(look.rows[-1])[:_ROW_MOST]!r}"
    if look.graphics is not None:
        width, height = look.graphics
        return f"the screen has a picture of {width}x{height} (screen.png beside the transcript)"
    return "the screen is empty"


def _hint(look: Glance, *, speaks: bool, asks: bool, starts_kernel: bool) -> str:
    text = "\n".join(look.rows)
    if speaks:
        return ": start a getty on ttyS0 (systemctl enable --now serial-getty@ttyS0.service)"
    if "No bootable device" in text or "No bootable disk" in text or "Boot failed" in text:
        return ": nothing boots from this disk under this firmware"
    if "GNU GRUB" in text or "grub>" in text or "boot:" in text:
        return (
            ": its loader waits on the screen alone; for GRUB: GRUB_TERMINAL='serial console', GRUB_TIMEOUT=5"
        )
    if starts_kernel:
        return (
            f": it was started with {_PARAMETER}; it may lack CONFIG_SERIAL_8250_CONSOLE, or hang before that"
        )
    if asks or _BOOTED.search(text) or (look.rows and _SHELL.search(look.rows[-1])):
        return f": its console is the screen, tty0; {_ADD}"
    return f": if its console is the screen, {_ADD}" if look.graphics is not None else ""
