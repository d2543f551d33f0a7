"""What stands at a guest's cursor before there is a shell: prompts of every kind; pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeAlias

from emulator.guest_text.escapes import seen
from emulator.guest_text.linux import LinuxProfile
from harness.guests.typist import Seen, last_line

_Sign: TypeAlias = "tuple[object, Prompt, float]"
"""What was found of a prompt, and for how long nothing may come behind it."""


class Prompt(Enum):
    """What a guest waits for, or why it lets nobody in."""

    LOGIN = "a login prompt"
    PASSWORD = "a password prompt"  # noqa: S105  # none
    SHELL = "a shell's prompt"
    ENTER = "a demand for Enter"
    REFUSED = "a refusal"
    RENEWAL = "a demand for another password"


_SOON_S = 0.0625
"""Rest behind what looks like a whole prompt: "login: " may go on with "root (automatic login)"."""
_STAYS_S = 0.25
"""Rest behind what is likely to be a prompt, and time after which it is one whatever comes behind it."""
_LATER_S = 2.0
"""Rest behind what may be a prompt."""
_SHELL = re.compile(rb"(?:[#$>]|\(initramfs\)|(?<![0-9])%|\xe2\x9d\xaf|\xce\xbb) ?\Z")
"""How prompts of shells end; 45% is progress."""
_FIRST = re.compile(rb"(?:[#$]|\(initramfs\)|(?<![0-9])%|@.*(?:>|\xe2\x9d\xaf|\xce\xbb)) ?\Z")
"""How they end on a guest that nobody has logged in to: `>` alone would be a boot loader's."""
_QUESTION = re.compile(rb"(?:[:?]|\xef\xbc\x9a) ?\Z")
"""How questions end that only a person can answer, such as one for a second factor."""
_LOADERS = re.compile(rb"U-Boot|grub|BIOS|Marvell|Shell>")
_AUTOMATIC = re.compile(rb"login: [^\r\n]{1,64}\(automatic login\)")


def find_prompt(
    text: bytes, profile: LinuxProfile, *, logging_in: bool, answered: bool = False
) -> Seen[Prompt] | None:
    """Return what a guest waits for that has written `text`, its latest.

    Args:
        text: user text since the last answer.
        profile: what the prompts look like.
        logging_in: whether a user's name was typed. Before, nothing but a plain prompt is one, and a login
            prompt stays one whatever was written after it (late messages of a boot).
        answered: whether a password was typed.
    """
    signs = _signs_later(text, profile, answered=answered) if logging_in else _signs_first(text, profile)
    return next(
        (Seen(what=what, rest_s=rest_s, stays=rest_s == _STAYS_S) for found, what, rest_s in signs if found),
        None,
    )


def _signs_first(text: bytes, profile: LinuxProfile) -> tuple[_Sign, ...]:
    shown, line = seen(text), last_line(text)
    return (
        (_stands(profile.login, line), Prompt.LOGIN, _SOON_S),
        (_stands(profile.prompt, line), Prompt.SHELL, _SOON_S),
        (_FIRST.search(line) and not _LOADERS.search(line), Prompt.SHELL, _LATER_S),
        (re.search(profile.activation, shown), Prompt.ENTER, _LATER_S),
        (re.search(profile.login, _AUTOMATIC.sub(b"", shown)), Prompt.LOGIN, _STAYS_S),
    )


def _signs_later(text: bytes, profile: LinuxProfile, *, answered: bool) -> tuple[_Sign, ...]:
    shown, line = seen(text), last_line(text)
    return (
        (re.search(profile.refused, shown), Prompt.REFUSED, 0.0),
        (re.search(profile.renewal, shown), Prompt.RENEWAL, 0.0),
        (_stands(profile.login, line), Prompt.LOGIN, _SOON_S),
        (_stands(profile.password_prompt, line), Prompt.PASSWORD, _SOON_S),
        (_stands(profile.prompt, line), Prompt.SHELL, _SOON_S),
        (_SHELL.search(line), Prompt.SHELL, _STAYS_S),
        (re.search(profile.activation, shown), Prompt.ENTER, _LATER_S),
        # a message of the day may say "your login: none, Password: none"
        (
            not answered and re.search(rb"(?:^|\n)[^:,\r\n]{0,40}?" + profile.password_prompt, shown),
            Prompt.PASSWORD,
            _STAYS_S,
        ),
        (re.search(profile.prompt, shown), Prompt.SHELL, _STAYS_S),
        # of whoever has a prompt of an unknown kind, or none at all
        (line and not _QUESTION.search(line), Prompt.SHELL, 2 * _LATER_S),
        (not line and shown.count(b"\n") > 1, Prompt.SHELL, 5 * _LATER_S),
    )


def is_prompt(text: bytes, profile: LinuxProfile) -> Seen[bytes]:
    """Return the line at the cursor, which may be the prompt of a shell that has ended a command.

    A prompt of the profile is one at once, whatever comes behind it.
    """
    known = re.search(profile.prompt, text)
    if known is not None:
        return Seen(what=last_line(text[: known.end()]), rest_s=0.0, end=known.end())
    line = last_line(text)
    return Seen(what=line, rest_s=_SOON_S if _SHELL.search(line) else _STAYS_S)


def _stands(pattern: bytes, line: bytes) -> bool:
    return re.search(rb"(?:%s)\Z" % pattern, line) is not None
