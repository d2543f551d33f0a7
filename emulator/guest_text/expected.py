"""What a guest is expected to show: that it can take a stimulus, and that a stimulus had its effect; pure.

The search is strict: only whole lines count, which the guest itself begins or which follow a kernel time
stamp. Linux' texts were seen with Debian's kernels 5.10 to 7.2 (docs/facts/qemu.md 4), Windows' in real
serial logs (docs/facts/sac.md 1.9), OVMF's in CpuExceptionCommon.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from emulator.guest_text import linux, sac
from emulator.guest_text.linux import LEVEL, RECORD
from emulator.guest_text.printable import escape

EVIDENCE_MAX = 200
_LONGEST_LINE = 4096
_HEAD = rb"(?:^|" + RECORD + rb")(?:" + LEVEL + rb")?"  # a record may stand in the middle of other text


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What shows that a stimulus had its effect.

    Attributes:
        lines: patterns, one of which a line matches.
        events: names of QMP events that show the same.
        hints: patterns of lines that count if nothing else came by the end of the wait.
    """

    lines: tuple[re.Pattern[bytes], ...] = ()
    events: frozenset[str] = frozenset()
    hints: tuple[re.Pattern[bytes], ...] = ()


def _lines(*texts: bytes) -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(_HEAD + rb"(?P<said>" + text + rb".*)") for text in texts)


PANIC = _lines(rb"Kernel panic - not syncing: ")
_SYSRQ = _lines(rb"(?:sysrq|SysRq ?): ")
_SYSRQ_REFUSED = _lines(rb"(?:sysrq|SysRq ?): This sysrq operation is disabled")

NMI = Expected(
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
RESET = Expected(events=frozenset({"RESET"}))
SYSRQ = Expected(lines=_SYSRQ)
SYSRQ_OF_KEY = {
    "b": Expected(lines=_SYSRQ_REFUSED, events=frozenset({"RESET"}), hints=_SYSRQ),
    "c": Expected(
        lines=(*PANIC, *_SYSRQ_REFUSED), events=frozenset({"GUEST_PANICKED", "RESET"}), hints=_SYSRQ
    ),
    "o": Expected(lines=_SYSRQ_REFUSED, events=frozenset({"SHUTDOWN"}), hints=_SYSRQ),
}
"""Keys with an effect that is more than a line."""


def expected_of_sysrq(key: str) -> Expected:
    """Return what shows that a system request was obeyed, or refused."""
    return SYSRQ_OF_KEY.get(key, SYSRQ)


class ExpectedSearch:
    """Searches guest output, in pieces of any size, and events for what is expected.

    Attributes:
        evidence: what was found, None before.
        hint: what counts if nothing better comes, or None.
        silent: whether the guest wrote nothing at all.
    """

    def __init__(self, expected: Expected) -> None:
        self.evidence: str | None = None
        self.hint: str | None = None
        self.silent = True
        self._expected = expected
        self._line = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes that the guest wrote after the stimulus."""
        self.silent = self.silent and not data
        *whole, rest = re.split(rb"[\r\n]+", self._line + data)
        self._line = rest[-_LONGEST_LINE:]
        for line in whole:
            self.evidence = self.evidence or _find(self._expected.lines, line)
            self.hint = self.hint or _find(self._expected.hints, line)

    def note(self, events: Iterable[tuple[str, str]]) -> None:
        """Take QEMU's events after the stimulus, each with its reason or ""."""
        for name, reason in events:
            if name in self._expected.events:
                self.evidence = self.evidence or (f"{name} ({reason})" if reason else name)


def _find(patterns: Iterable[re.Pattern[bytes]], line: bytes) -> str | None:
    found = next((match for pattern in patterns if (match := pattern.search(line))), None)
    return None if found is None else escape(found["said"].rstrip())[:EVIDENCE_MAX]


LOADER = re.compile(rb"GNU GRUB|GRUB loading|EFI stub:|Windows Boot Manager")
"""The first words of what starts a system."""
SYSTEM = re.compile(linux.BEGINS + rb"|" + re.escape(sac.DOCUMENT))
"""The first words of a system: Linux', or SAC's for Windows."""

BOOT_S = 60.0
"""When a boot counts as over in any case, from power-on."""
SILENCE_S = 2.0
"""For how long a kernel that has printed is silent once its boot is over."""
LONG_SILENCE_S = 15.0
"""The same for a guest without kernel text: a waiting menu, a guest without a console."""
_TAIL = 1024
_ASKS = re.compile(rb"(?:^|[\r\n])(?:[A-Za-z0-9._-]+ login: |SAC>)")
_KERNEL = re.compile(linux.RECORD)


class BootWatch:
    """Tells from a guest's output since power-on when a stimulus would reach it instead of its firmware."""

    def __init__(self, *, began: float) -> None:
        self._began = began
        self._last = began
        self._asks = False
        self._kernel_spoke = False
        self._tail = b"\n"

    def feed(self, data: bytes, at: float) -> None:
        """Take the next bytes, the last of which came at `at`."""
        text = self._tail + data
        self._last = at
        self._asks = self._asks or _ASKS.search(text) is not None
        self._kernel_spoke = self._kernel_spoke or _KERNEL.search(text) is not None
        self._tail = text[-_TAIL:]

    def remaining(self, now: float) -> float:
        """Return how much more silence ends the boot; 0 when it is over.

        It is over at a login or SAC prompt, after a silence, and BOOT_S after its start.
        """
        silence = SILENCE_S if self._kernel_spoke else LONG_SILENCE_S
        left = min(self._last + silence, self._began + BOOT_S) - now
        return 0.0 if self._asks else max(0.0, left)
