"""What ends a wait although it was not awaited: a finding in the text, or a mark of the machine."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from emulator.console.marks import Mark, MarkKind, boot_starts
from emulator.console.transcript import Transcript
from emulator.guest_text.records import RecordSplitter, UserView
from harness.play.views import PlainView
from harness.scenario.verdict import Alarm
from harness.signatures.model import ALWAYS_ARMED, Finding
from harness.signatures.scanner import Scanner

RESET = "reset"
SHUTDOWN = "shutdown"
OFF = "off"
GONE = "gone"
PANIC_EVENT = "panic-event"
WATCHDOG = "watchdog"

_QMP_ALARMS = {
    "RESET": RESET,
    "SHUTDOWN": SHUTDOWN,
    "GUEST_PANICKED": PANIC_EVENT,
    "WATCHDOG": WATCHDOG,
}
_MACHINE_ALARMS = {"off": OFF, "gone": GONE}

NAMES = frozenset([*_QMP_ALARMS.values(), *_MACHINE_ALARMS.values()])
"""Alarms that are no signature; a step may allow them by these names."""


def alarm_of_finding(finding: Finding, transcript: Transcript) -> Alarm:
    """Return the alarm that a finding raises.

    A finding begins with its line; the alarm begins where the kernel began to write, so that a prompt
    which stood in that line before still counts as seen before.
    """
    line = transcript.read(finding.start, finding.end).partition(b"\n")[0] + b"\n"
    segments = RecordSplitter(start=finding.start).feed(line)
    start = next((one.start for one in segments if one.kind == "kernel"), finding.start)
    return Alarm(name=finding.rule, title=finding.title, start=start, end=finding.end)


def alarm_of_mark(mark: Mark) -> Alarm | None:
    """Return the alarm that a mark raises, or None if it raises none."""
    names = {MarkKind.QMP: _QMP_ALARMS, MarkKind.MACHINE: _MACHINE_ALARMS}.get(mark.kind, {})
    name = names.get(mark.name)
    if name is None:
        return None
    facts = ", ".join(f"{key} {value}" for key, value in mark.detail.items() if not isinstance(value, dict))
    title = f"{mark.kind.value} {mark.name}" + (f" ({facts})" if facts else "")
    return Alarm(name=name, title=title, start=mark.offset, end=mark.offset, at=mark.at)


def unexpected(alarms: Iterable[Alarm], allowed: frozenset[str]) -> list[Alarm]:
    """Return the alarms that nobody allowed, in order."""
    return [alarm for alarm in alarms if alarm.name not in allowed]


_PIECE = 65536


class Listener:
    """Follow one transcript for one session; the owner's thread calls everything.

    Attributes:
        transcript: what is followed. Where it is joined at a later `start`, what stands before counts as
            known, the marks that already stand there too.
        view: the guest's output without kernel records.
    """

    def __init__(self, transcript: Transcript, *, start: int = 0) -> None:
        self.transcript = transcript
        self.view = UserView(start=start)
        self._plain: PlainView | None = None  # made when it is asked for
        self._scanner = Scanner(start=start)
        self._start = start
        self._heard = start
        self._marks_seen = sum(mark.offset <= start for mark in transcript.marks) if start else 0
        self._boot: Mark | None = None
        self._alarms: list[Alarm] = []
        self._passed = 0

    @property
    def heard(self) -> int:
        """How far the guest's output has been looked at, as a raw offset."""
        return self._heard

    @property
    def plain(self) -> PlainView:
        """The guest's output without escape sequences."""
        if self._plain is None:
            self._plain = PlainView(start=self._start)
            self._plain.feed(self.transcript.read(self._start, self._heard))
        return self._plain

    def update(self) -> None:
        """Look at all that is new, boot by boot."""
        # Measured before the marks are read: a mark that comes later than both lies at or behind it,
        # so no byte is heard as part of the boot before its own.
        size = len(self.transcript)
        for mark in self.transcript.marks_since(self._marks_seen):
            self._marks_seen += 1
            self._take_mark(mark)
        self._hear(size)

    def first_unexpected(self, allowed: frozenset[str]) -> Alarm | None:
        """Return the first alarm that is not allowed; allowed ones before it are passed for good.

        An unexpected alarm stays: every later wait sees it again, until `forgive`.
        """
        while self._passed < len(self._alarms):
            alarm = self._alarms[self._passed]
            if unexpected([alarm], allowed):
                return alarm
            self._passed += 1
        return None

    def forgive(self) -> None:
        """Pass every alarm so far: whoever calls this has dealt with them."""
        self.update()
        self._passed = len(self._alarms)

    def _take_mark(self, mark: Mark) -> None:
        if boot_starts([mark]):
            if self._boot is not None and len(boot_starts([self._boot, mark])) == 1:
                return  # one restart, told again (docs/facts/qemu.md 4)
            self._boot = mark
            self._hear(mark.offset)
            self._scanner.cut(mark.offset)
        self._raise(alarm_of_mark(mark))

    def _hear(self, end: int) -> None:
        while data := self.transcript.read(self._heard, min(self._heard + _PIECE, end)):
            self._heard += len(data)
            self.view.feed(data)
            if self._plain is not None:
                self._plain.feed(data)
            for finding in self._scanner.feed(data):
                # Fatal ones even if suppressed: the panic that follows an allowed oops is still the end.
                if finding.fatal or (finding.rule in ALWAYS_ARMED and not finding.suppressed):
                    self._raise(alarm_of_finding(finding, self.transcript))

    def _raise(self, alarm: Alarm | None) -> None:
        if alarm is not None:
            insort(self._alarms, alarm, lo=self._passed, key=lambda known: known.start)
