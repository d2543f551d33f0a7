"""What guests answer to a stimulus, as data, and the search for it in what came after; pure.

Strict: a line counts only where the guest itself begins one, or behind a kernel time stamp, and only
when it is whole. Texts of Linux were seen on Debian's 5.10 to 7.2 kernels (docs/facts/qemu.md 4), those of
Windows in real serial logs (docs/facts/sac.md 1.9), OVMF's in CpuExceptionCommon.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emulator.console.marks import Mark, MarkKind

EVIDENCE_MAX = 200
_LONGEST_LINE = 4096
_HEAD = (
    rb"(?:(?:^|\[ *\d+\.\d{6}\](?:\[ *[TC] ?\d+\])? )"  # a line of the kernel, in the middle of others' text
    rb"(?:<\d{1,3}>)?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What shows that a stimulus did something.

    Attributes:
        lines: a line that matches one of these is the reaction.
        events: so is a QMP event of one of these names.
        hints: lines that are taken for it when the wait ends and nothing else came.
    """

    lines: tuple[re.Pattern[bytes], ...] = ()
    events: frozenset[str] = frozenset()
    hints: tuple[re.Pattern[bytes], ...] = ()


def _lines(*texts: bytes) -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(_HEAD + rb"(?P<said>" + text + rb".*)") for text in texts)


PANIC = _lines(rb"Kernel panic - not syncing: ")
_SYSRQ = _lines(rb"(?:sysrq|SysRq ?): ")
_SYSRQ_REFUSED = _lines(rb"(?:sysrq|SysRq ?): This sysrq operation is disabled")

NMI = Reaction(
    lines=(
        *_lines(rb"(?:Uhhuh\. )?NMI received for unknown reason", rb"NMI: (?:PCI system|IOCK) error"),
        *_lines(rb"Dazed and confused, but trying to continue"),
        *PANIC,
        *_lines(rb"(?:!SAC>)?Your (?:PC|device) ran into a problem", rb"\*\*\* STOP: 0x0*80\b"),
        *_lines(rb"<INSTANCE CLASSNAME=\"?BLUESCREEN"),
        *_lines(rb"!!!! X64 Exception Type - 02"),
    ),
    events=frozenset({"GUEST_PANICKED"}),
)
RESET = Reaction(events=frozenset({"RESET"}))
SYSRQ = Reaction(lines=_SYSRQ)
SYSRQ_OF_KEY = {
    "b": Reaction(lines=_SYSRQ_REFUSED, events=frozenset({"RESET"}), hints=_SYSRQ),
    "c": Reaction(
        lines=(*PANIC, *_SYSRQ_REFUSED), events=frozenset({"GUEST_PANICKED", "RESET"}), hints=_SYSRQ
    ),
    "o": Reaction(lines=_SYSRQ_REFUSED, events=frozenset({"SHUTDOWN"}), hints=_SYSRQ),
}
"""Keys whose effect is more than a line."""


def reaction_to_sysrq(key: str) -> Reaction:
    """Return what shows that a system request was obeyed, or refused."""
    return SYSRQ_OF_KEY.get(key, SYSRQ)


class ReactionSearch:
    """Looks for a reaction in guest output and marks, in pieces of any size.

    Attributes:
        evidence: what was found, None before.
        hint: what is taken for it when nothing better comes, None without.
        silent: whether the guest wrote nothing at all.
    """

    def __init__(self, reaction: Reaction) -> None:
        self.evidence: str | None = None
        self.hint: str | None = None
        self.silent = True
        self._reaction = reaction
        self._line = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes that the guest wrote after the stimulus."""
        self.silent = self.silent and not data
        *whole, rest = re.split(rb"[\r\n]+", self._line + data)
        self._line = rest[-_LONGEST_LINE:]
        for line in whole:
            self.evidence = self.evidence or _find(self._reaction.lines, line)
            self.hint = self.hint or _find(self._reaction.hints, line)

    def note(self, marks: Iterable[Mark]) -> None:
        """Take the marks that were set after the stimulus."""
        for mark in marks:
            if mark.kind is MarkKind.QMP and mark.name in self._reaction.events:
                reason = mark.detail.get("reason")
                self.evidence = self.evidence or (f"{mark.name} ({reason})" if reason else mark.name)


def marks_after(mark: Mark, marks: Sequence[Mark]) -> list[Mark]:
    """Return those of `marks` that were set after `mark`."""
    later: list[Mark] = []
    for one in reversed(marks):
        if one is mark or one.at < mark.at:
            break
        later.append(one)
    return later[::-1]


def printable(data: bytes) -> str:
    """Return guest bytes as text that can't harm a terminal or a page, cut to EVIDENCE_MAX."""
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in data)
    return text[:EVIDENCE_MAX]


def _find(patterns: Iterable[re.Pattern[bytes]], line: bytes) -> str | None:
    found = next((match for pattern in patterns if (match := pattern.search(line))), None)
    return None if found is None else printable(found["said"].rstrip())
