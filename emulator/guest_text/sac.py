"""What SAC writes around its answers: events, echoes, prompts and boots, as patterns; pure.

All are for the view without escape sequences. An event interrupts whatever stands at the prompt by a line
end, its text and a new prompt, after which a half-typed line continues invisibly (docs/facts/sac.md 1.5,
1.6).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

LINE_MOST = 77
"""Characters that fit in a line at the SAC prompt; further ones overwrite the last."""
WIPE = b"\x08" * (LINE_MOST + 3)
"""Backspaces that empty any line at the SAC prompt; at its start they do nothing."""
ENTER, BACKSPACE, TO_SAC = b"\r", b"\x08", b"\x1b\t0"
PROMPT = rb"(?:\A|(?<=\n))SAC>"
EVENT = (
    rb"(?:\r\n)*EVENT: +(?:[^\r\n]*)\r\n(?:Channel: (?:[^\r\n]*)\r\n)?(?:\r\n)*"
    rb"(?:(?<=\n)SAC>)"
)
CMD_AVAILABLE = rb"EVENT: The CMD command is now available\.\r\n"
MORE = rb"----Press <Enter> for more----"
LOGIN = rb"(?:Username|Domain +|Password) ?:"
SHELL_PROMPT = rb"[A-Z]:\\[^\r\n<>|]{0,200}>"
DOCUMENT = b"<?xml>\r\n<machine-info>"
"""What SAC writes first in a boot."""
BUGCHECK, BUGCHECK_END = b'<INSTANCE CLASSNAME="BLUESCREEN">', b"</INSTANCE>"
"""Around the XML at the start of a bugcheck."""
BANNER = rb"Computer is booting, SAC started and initialized\.\r\n"
_MOST_EVENTS = 8


def echo_pattern(typed: bytes) -> list[re.Pattern[bytes]]:
    """Return patterns for the echo of one byte at the SAC prompt: the right one, then a wrong one.

    Both start where the last echo ended; events may come first.
    """
    events = rb"\A(?:" + EVENT + rb"){0,%d}" % _MOST_EVENTS
    right = re.escape(typed)
    wrong = rb"(?!" + right + rb")[^\r\n]"
    return [re.compile(events + one, re.DOTALL) for one in (right, wrong)]


def encode_powershell(script: str) -> str:
    """Return the command line by which PowerShell runs `script`, whatever its characters."""
    encoded = base64.b64encode(script.encode("utf-16-le")).decode("ascii")
    return f"powershell -encodedCommand {encoded}"


def lines_of(output: bytes) -> tuple[bytes, ...]:
    """Return the lines of a command's output, without pager prompts, trailing blanks and empty edges."""
    paged = re.sub(rb"(?:[\r\n])*" + MORE + rb"[ \x08\r\n]*", b"\n", output)
    lines = [line.rstrip() for line in paged.replace(b"\r", b"").split(b"\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines)


_SIGNS = re.compile(
    rb"(?P<bugcheck>" + BUGCHECK + rb".{0,8000}?" + BUGCHECK_END + rb")"
    rb"|(?P<firmware>BdsDxe: (?:loading|starting) Boot[0-9A-Fa-f]{4})"
    rb"|(?P<menu>\x1b\[2J\x1b\[1;1H\x1b\[0m\x1b\[37;40m)"
    rb"|(?P<info>(?:<\?xml>\r\n)?<machine-info>)",
    re.DOTALL,
)
_NAMES = {"firmware": "BdsDxe", "menu": "boot manager", "info": "machine-info"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSign:
    """A sign that a boot has begun.

    Attributes:
        name: "BdsDxe", "boot manager" or "machine-info".
        start: offset of its first byte in the bytes that were searched.
    """

    name: str
    start: int


def find_boots(data: bytes) -> tuple[BootSign, ...]:
    """Return the first sign of each boot in the raw bytes `data`, in order.

    A boot's signs end with its `machine-info`. Those inside a bugcheck do not count, and an unfinished
    bugcheck ends the search.
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
    """Tell whether `at` is inside a bugcheck's XML."""
    first = max(0, at - 8000)
    return data.rfind(BUGCHECK, first, at) > data.rfind(BUGCHECK_END, first, at)
