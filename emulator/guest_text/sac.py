"""What SAC writes between what was asked for: events, echoes, prompts, as patterns; pure.

All are for the view without escape sequences. An event interrupts whatever stands at the prompt: a line end,
its text, and a new prompt, behind which a half-typed line goes on unseen (docs/facts/sac.md 1.5, 1.6).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

LINE_MOST = 77
"""Characters that a line at the SAC prompt can have; further ones overwrite the last."""
WIPE = b"\x08" * (LINE_MOST + 3)
"""Backspaces that empty any line at the SAC prompt; behind its begin they do nothing."""
ENTER, BACKSPACE, TO_SAC = b"\r", b"\x08", b"\x1b\t0"
PROMPT = rb"(?:\A|(?<=\n))SAC>"
EVENT = (
    rb"(?:\r\n)*EVENT: +(?P<said>[^\r\n]*)\r\n(?:Channel: (?P<channel>[^\r\n]*)\r\n)?(?:\r\n)*"
    rb"(?:(?<=\n)SAC>)"
)
_PASSED = re.sub(rb"\?P<\w+>", b"?:", EVENT)
CMD_AVAILABLE = rb"EVENT: The CMD command is now available\.\r\n"
MORE = rb"----Press <Enter> for more----"
LOGIN = rb"(?:Username|Domain +|Password) ?:"
SHELL_PROMPT = rb"[A-Z]:\\[^\r\n<>|]{0,200}>"
DOCUMENT = b"<?xml>\r\n<machine-info>"
"""What SAC begins a boot with."""
BUGCHECK, BUGCHECK_END = b'<INSTANCE CLASSNAME="BLUESCREEN">', b"</INSTANCE>"
"""Around the XML that a bugcheck begins with."""
BANNER = rb"Computer is booting, SAC started and initialized\.\r\n"
_MOST_EVENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SacEvent:
    """An EVENT line.

    Attributes:
        said: its text.
        channel: the channel that it is about; b"" if none.
    """

    said: bytes
    channel: bytes = b""


def echo_pattern(typed: bytes) -> list[re.Pattern[bytes]]:
    """Return patterns for the echo of one byte at the SAC prompt: the right one, then a wrong one.

    Both begin where the last echo ended; events may come first.
    """
    events = rb"\A(?:" + _PASSED + rb"){0,%d}" % _MOST_EVENTS
    right = re.escape(typed)
    wrong = rb"(?!" + right + rb")[^\r\n]"
    return [re.compile(events + one, re.DOTALL) for one in (right, wrong)]


def event_of(groups: tuple[bytes | None, ...]) -> SacEvent:
    """Return the event whose groups `EVENT` has found."""
    said, channel = groups
    return SacEvent(said=said or b"", channel=channel or b"")


def find_events(text: bytes) -> tuple[SacEvent, ...]:
    """Return the events in `text`, in order."""
    return tuple(event_of(found.groups()) for found in re.finditer(EVENT, text))


def encode_powershell(script: str) -> str:
    """Return the command line that lets PowerShell run `script`, whatever characters are in it."""
    encoded = base64.b64encode(script.encode("utf-16-le")).decode("ascii")
    return f"powershell -encodedCommand {encoded}"


def lines_of(output: bytes) -> tuple[bytes, ...]:
    """Return the lines of a command's output: without page ends, blanks at their ends and empty edges."""
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
    first = max(0, at - 8000)
    return data.rfind(BUGCHECK, first, at) > data.rfind(BUGCHECK_END, first, at)
