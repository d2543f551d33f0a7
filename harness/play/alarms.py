"""What ends a wait early: findings in the guest's output and marks of the machine; pure."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container

from emulator.console.marks import FAR_END_GONE, STOPPED, Mark, MarkKind, boot_starts
from emulator.console.transcript import Transcript
from emulator.guest_text.records import RecordSplitter, UserView
from harness.play.views import PlainView
from harness.scenario.errors import Alarm
from harness.signatures.model import ALWAYS_ARMED, Finding
from harness.signatures.scanner import Scanner

RESET = "reset"
SHUTDOWN = "shutdown"
OFF = "off"
GONE = "gone"
PANIC_EVENT = "panic-event"
WATCHDOG = "watchdog"
HALTED = "halted"
DISK = "disk-error"
OF_THE_LAB = frozenset({GONE, HALTED, DISK})
"""Alarms that say nothing of the guest: what it runs on, or the line to it, failed."""

_ALARMS = {
    MarkKind.QMP: {
        "RESET": RESET,
        "SHUTDOWN": SHUTDOWN,
        "GUEST_PANICKED": PANIC_EVENT,
        "WATCHDOG": WATCHDOG,
        "BLOCK_IO_ERROR": DISK,
    },
    MarkKind.MACHINE: {"off": OFF, "gone": GONE},
    MarkKind.LAB: {FAR_END_GONE: GONE, STOPPED: HALTED, "qmp-lost": GONE},
}
NAMES = frozenset(name for names in _ALARMS.values() for name in names.values())
"""Names of the alarms that marks raise; a step may allow them as it may allow signatures."""


def alarm_of_finding(finding: Finding, transcript: Transcript) -> Alarm:
    """Return the alarm that a finding raises.

    A finding begins with its line, but the alarm begins where the kernel began to write: a prompt already
    standing in that line still counts as seen before the alarm.
    """
    line = transcript.read(finding.start, finding.end).partition(b"\n")[0] + b"\n"
    segments = RecordSplitter(start=finding.start).feed(line)
    start = next((one.start for one in segments if one.kind == "kernel"), finding.start)
    return Alarm(name=finding.rule, title=finding.title, start=start, end=finding.end)


def alarm_of_mark(mark: Mark) -> Alarm | None:
    """Return the alarm that a mark raises, or None if it raises none."""
    name = _ALARMS.get(mark.kind, {}).get(mark.name)
    if name is None:
        return None
    if name == SHUTDOWN and mark.detail.get("guest") is False and not mark.detail.get("asked"):
        name = GONE  # QEMU got a signal, or was told to quit by somebody else
    facts = ", ".join(f"{key} {value}" for key, value in mark.detail.items() if not isinstance(value, dict))
    title = f"{mark.kind.value} {mark.name}" + (f" ({facts})" if facts else "")
    return Alarm(name=name, title=title, start=mark.offset, end=mark.offset, at=mark.at)


def is_signal(mark: Mark, names: Container[str]) -> bool:
    """Tell whether `mark` is one of those that a step awaits, and the guest's or the scenario's doing."""
    alarm = alarm_of_mark(mark)
    return (
        mark.name in names
        and mark.kind in {MarkKind.QMP, MarkKind.MACHINE}
        and (alarm is None or alarm.name not in OF_THE_LAB)
    )


_PIECE = 65536


class Listener:
    """Follows one transcript for one session; only the session's thread may call it.

    Attributes:
        transcript: what is followed. Output and marks before `start` count as known.
        view: the guest's output without kernel records.
        heard: how far the guest's output has been looked at, as a raw offset.
    """

    def __init__(self, transcript: Transcript, *, start: int = 0) -> None:
        self.transcript = transcript
        self.view = UserView(start=start)
        self._plain: PlainView | None = None  # made when it is asked for
        self._scanner = Scanner(start=start)
        self._start = start
        self.heard = start
        self._marks_seen = sum(mark.offset <= start for mark in transcript.marks) if start else 0
        self._boot: Mark | None = None
        self._alarms: list[Alarm] = []
        self._passed = 0

    @property
    def plain(self) -> PlainView:
        """The guest's output without escape sequences."""
        if self._plain is None:
            self._plain = PlainView(start=self._start)
            self._plain.feed(self.transcript.read(self._start, self.heard))
        return self._plain

    def update(self) -> None:
        """Look at everything new, boot by boot."""
        # Measured before the marks are read: a mark made after both is at this offset or later,
        # so no byte is taken for part of the boot before its own.
        size = len(self.transcript)
        for mark in self.transcript.marks_since(self._marks_seen):
            self._marks_seen += 1
            self._take_mark(mark)
        self._hear(size)

    def first_unexpected(self, allowed: frozenset[str]) -> Alarm | None:
        """Return the first alarm that is not allowed, again and again; allowed ones before it are dropped."""
        while self._passed < len(self._alarms):
            alarm = self._alarms[self._passed]
            if alarm.name not in allowed:
                return alarm
            self._passed += 1
        return None

    def unexpected(self, allowed: frozenset[str]) -> tuple[Alarm, ...]:
        """Return every alarm that is not allowed, but for those that `forgive` or a step dropped."""
        return tuple(alarm for alarm in self._alarms[self._passed :] if alarm.name not in allowed)

    def forgive(self) -> None:
        """Drop every alarm so far; for callers that have dealt with them."""
        self.update()
        self._passed = len(self._alarms)

    def _take_mark(self, mark: Mark) -> None:
        if boot_starts([mark]):
            if self._boot is not None and len(boot_starts([self._boot, mark])) == 1:
                return  # the same restart, reported twice (docs/facts/qemu.md 4)
            self._boot = mark
            self._hear(mark.offset)
            self._scanner.cut(mark.offset)
        self._raise(alarm_of_mark(mark))

    def _hear(self, end: int) -> None:
        while data := self.transcript.read(self.heard, min(self.heard + _PIECE, end)):
            self.heard += len(data)
            self.view.feed(data)
            if self._plain is not None:
                self._plain.feed(data)
            for finding in self._scanner.feed(data):
                # Fatal ones even if suppressed: a panic that follows an allowed oops is still the end.
                if finding.fatal or (finding.rule in ALWAYS_ARMED and not finding.suppressed):
                    self._raise(alarm_of_finding(finding, self.transcript))

    def _raise(self, alarm: Alarm | None) -> None:
        if alarm is not None:
            insort(self._alarms, alarm, lo=self._passed, key=lambda known: known.start)
