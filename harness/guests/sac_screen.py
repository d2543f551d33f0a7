"""What a SAC guest's screen shows, in one word; pure. Redrawn text is on the screen and in no event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from emulator.images.sac.profile import SacProfile

_SHELL = re.compile(r"[A-Z]:\\[^<>|]*>")
_POWERSHELL = re.compile(r"(?:>> ?|PS [A-Z]:\\[^<>|]*> ?)")
_LOGIN = re.compile(r"(?:Username|Domain +|Password) ?:")
_FIRST = re.compile(r"%|\n")


class Showing(StrEnum):
    """What a screen shows."""

    NOTHING = "nothing"
    SAC_PROMPT = "the SAC prompt"
    HEADER = "a channel's header"
    SHELL = "cmd's prompt"
    POWERSHELL = "PowerShell's prompt"
    LOGIN = "a login prompt"
    PAGE = "the end of a page"
    CRASHED = "the prompt after a bugcheck"
    MENU = "the boot menu"
    TOOLS = "the boot menu's advanced options"
    RECOVERY = "the recovery menu"
    OTHER = "something else"


_SIGNS = (
    ("menu.recovery", Showing.RECOVERY),
    ("menu.error_recovery", Showing.RECOVERY),
    ("menu.advanced_title", Showing.TOOLS),
    ("menu.choose", Showing.MENU),
    ("channel.header_keys", Showing.HEADER),
)
"""Texts of a profile that tell a whole screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A screen, read.

    Attributes:
        showing: what it shows.
        typed: what stands behind the prompt in the cursor's row.
        counts_down: whether a menu says in how many seconds it goes on.
    """

    showing: Showing
    typed: str = ""
    counts_down: bool = False


def read_screen(lines: Sequence[str], *, row: int, column: int, profile: SacProfile) -> Picture:
    """Return what `lines` show, with the cursor at `row` and `column`, counted from 0."""
    here = lines[row][:column] if row < len(lines) else ""
    if _stands(profile, "sac.more", [here]):
        return Picture(showing=Showing.PAGE)
    for pattern, showing in ((re.compile("SAC>"), Showing.SAC_PROMPT), (_POWERSHELL, Showing.POWERSHELL),
                             (_SHELL, Showing.SHELL), (_LOGIN, Showing.LOGIN)):  # fmt: skip
        found = pattern.match(here)
        if found:
            return Picture(showing=showing, typed=here[found.end() :])
    return _whole(lines, profile)


def _whole(lines: Sequence[str], profile: SacProfile) -> Picture:
    if not any(lines):
        return Picture(showing=Showing.NOTHING)
    if any(line.startswith("!SAC>") for line in lines):
        return Picture(showing=Showing.CRASHED)
    found = (showing for key, showing in _SIGNS if _stands(profile, key, lines))
    showing = next(found, Showing.OTHER)
    counts_down = showing is Showing.MENU and _stands(profile, "menu.countdown", lines)
    return Picture(showing=showing, counts_down=counts_down)


def _stands(profile: SacProfile, key: str, lines: Sequence[str]) -> bool:
    """Tell whether the first line of a profile's text stands in `lines`, up to its first field."""
    beginning = _FIRST.split(profile.texts[key].text.strip())[0].strip()
    return bool(beginning) and any(beginning in line for line in lines)
