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
from emulator.guest_text.escapes import LEAD
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
        refusals: patterns of lines by which the guest says that it won't.
        by_host: whether an event counts that QEMU was told to make, such as the RESET of `system_reset`.
    """

    lines: tuple[re.Pattern[bytes], ...] = ()
    events: frozenset[str] = frozenset()
    hints: tuple[re.Pattern[bytes], ...] = ()
    refusals: tuple[re.Pattern[bytes], ...] = ()
    by_host: bool = False


def _lines(*texts: bytes) -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(_HEAD + rb"(?P<said>" + text + rb".*)") for text in texts)


PANIC = _lines(rb"Kernel panic - not syncing: ")
_SYSRQ_REFUSED = _lines(linux.SYSRQ_HEAD + linux.SYSRQ_REFUSED)
_SYSRQ = _lines(linux.SYSRQ_HEAD + rb"(?!" + linux.SYSRQ_REFUSED + rb")")

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
RESET = Expected(events=frozenset({"RESET"}), by_host=True)
"""That the button was pushed; that the guest starts again shows only in what it writes afterwards."""


def _request(*lines: re.Pattern[bytes], events: Iterable[str] = ()) -> Expected:
    hints = () if lines == _SYSRQ else _SYSRQ
    return Expected(lines=lines, events=frozenset(events), hints=hints, refusals=_SYSRQ_REFUSED)


SYSRQ = _request(*_SYSRQ)
SYSRQ_OF_KEY = {
    "b": _request(events=("RESET",)),
    "c": _request(*PANIC, events=("GUEST_PANICKED", "RESET")),
    "o": _request(events=("SHUTDOWN",)),
}
"""Keys with an effect that is more than a line."""


def expected_of_sysrq(key: str) -> Expected:
    """Return what shows that a system request was obeyed, or refused."""
    return SYSRQ_OF_KEY.get(key, SYSRQ)


class ExpectedSearch:
    """Searches guest output, in pieces of any size, and events for what is expected.

    Attributes:
        evidence: what was found, a refusal included; None before.
        refused: whether that is a refusal, and so no effect.
        hint: what counts if nothing better comes, or None.
        silent: whether the guest wrote nothing at all.
    """

    def __init__(self, expected: Expected) -> None:
        self.evidence: str | None = None
        self.refused = False
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
            if self.evidence is None:
                refusal = _find(self._expected.refusals, line)
                self.refused = refusal is not None
                self.evidence = refusal or _find(self._expected.lines, line)
            self.hint = self.hint or _find(self._expected.hints, line)

    def note(self, events: Iterable[tuple[str, str]]) -> None:
        """Take QEMU's events after the stimulus, each with its reason or "".

        QEMU's reasons for what it was told to do begin with "host-" (ShutdownCause of its QAPI); the guest
        has no part in those.
        """
        for name, reason in events:
            if name in self._expected.events and (self._expected.by_host or not reason.startswith("host-")):
                self.evidence = self.evidence or (f"{name} ({reason})" if reason else name)


def _find(patterns: Iterable[re.Pattern[bytes]], line: bytes) -> str | None:
    found = next((match for pattern in patterns if (match := pattern.search(line))), None)
    return None if found is None else escape(found["said"].rstrip())[:EVIDENCE_MAX]


def _any_of(words: Iterable[bytes]) -> re.Pattern[bytes]:
    return re.compile(rb"|".join(map(re.escape, words)))


_LOADERS = (b"GNU GRUB", b"GRUB loading", b"EFI stub:", b"Windows Boot Manager")
_SYSTEMS = (linux.BEGINS, sac.DOCUMENT)
LOADER = _any_of(_LOADERS)
"""The first words of what starts a system."""
SYSTEM = _any_of(_SYSTEMS)
"""The first words of a system: Linux', or SAC's for Windows."""

_ALL = (*_LOADERS, *_SYSTEMS)
_FIRST = _any_of(_ALL)
_FIRST_MAX = max(map(len, _ALL))
_BEGINNINGS = (word[:length] for word in _ALL for length in range(len(word) - 1, 2, -1))
_CUT_OFF = re.compile(rb"(?:" + _any_of(_BEGINNINGS).pattern + rb")\Z")
"""A beginning of such words at the end of a piece; two letters of one are too few to look like it."""
_LEAD = re.compile(LEAD + rb"(?:(?:" + LEVEL + rb")?" + RECORD + rb")?\Z")
_LEAD_MAX = 64


def find_first_words(data: bytes) -> int | None:
    """Return where the first words of a loader or system begin in `data`, with what leads them; None without.

    Words that `data` cuts off count too, from their third letter on.
    """
    found = _FIRST.search(data) or _CUT_OFF.search(data, max(0, len(data) - _FIRST_MAX))
    if found is None:
        return None
    lead = _LEAD.search(data, max(0, found.start() - _LEAD_MAX), found.start())
    return found.start() if lead is None else lead.start()


BOOT_S = 60.0
"""When a boot counts as over in any case, from power-on."""
SILENCE_S = 3.0
"""For how long a kernel that has printed is silent once its boot is over."""
LONG_SILENCE_S = 15.0
"""The same for a guest without kernel text: a waiting menu, a guest without a console."""
_HANDS_OVER = re.compile(rb"Booting `|Loading initial ramdisk|EFI stub: ")
"""The last words of a boot loader: what it starts will speak, on a busy host after 15 s and more."""
_TAIL = 1024
_ASKS = re.compile(rb"(?:^|[\r\n])(?:[A-Za-z0-9._-]+ login: |SAC>)")
_KERNEL = re.compile(linux.RECORD)


class BootWatch:
    """Tells from a guest's output since power-on when a stimulus would reach it instead of its firmware."""

    def __init__(self, *, began: float) -> None:
        self._began = began
        self._last = began
        self._asks = False
        self._handed_over = False
        self._kernel_spoke = False
        self._tail = b"\n"

    def feed(self, data: bytes, at: float) -> None:
        """Take the next bytes, the last of which came at `at`."""
        text = self._tail + data
        self._last = at
        self._asks = self._asks or _ASKS.search(text) is not None
        self._handed_over = self._handed_over or _HANDS_OVER.search(text) is not None
        self._kernel_spoke = self._kernel_spoke or _KERNEL.search(text) is not None
        self._tail = text[-_TAIL:]

    @property
    def asks(self) -> bool:
        """Whether a prompt was seen."""
        return self._asks

    def remaining(self, now: float) -> float:
        """Return how much more silence ends the boot; 0 when it is over.

        It is over at a login or SAC prompt, after a silence, and BOOT_S after its start.
        """
        silence = BOOT_S if self._handed_over else LONG_SILENCE_S
        if self._kernel_spoke:
            silence = SILENCE_S
        left = min(self._last + silence, self._began + BOOT_S) - now
        return 0.0 if self._asks else max(0.0, left)
