"""The ear behind every wait: new bytes and marks in, alarms and user text out."""

from __future__ import annotations

from bisect import insort

from emulator.console.records import UserView
from emulator.console.transcript import Transcript
from emulator.errors import StateError
from emulator.machine.boots import boot_starts
from harness.alarms import Alarm, alarm_of_finding, alarm_of_mark, unexpected
from harness.signatures.scanner import Scanner

_PIECE = 65536


class Listener:
    """Follow one transcript for one session; the owner's thread calls everything.

    Attributes:
        transcript: what is followed.
        view: the guest's output without kernel records.
    """

    def __init__(self, transcript: Transcript, *, start: int = 0) -> None:
        self.transcript = transcript
        self.view = UserView(start=start)
        self._scanner = Scanner(start=start)
        self._heard = start
        self._marks_seen = 0
        self._alarms: list[Alarm] = []
        self._passed = 0

    @property
    def heard(self) -> int:
        """How far the guest's output has been looked at, as a raw offset."""
        return self._heard

    def update(self) -> None:
        """Look at all that is new, boot by boot."""
        for mark in self.transcript.marks_since(self._marks_seen):
            self._marks_seen += 1
            self._raise(alarm_of_mark(mark))
            if boot_starts([mark]):
                self._hear(mark.offset)
                self._begin_boot(mark.offset)
        self._hear(None)

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

    def _hear(self, end: int | None) -> None:
        while data := self.transcript.read(self._heard, self._next_piece(end)):
            self._heard += len(data)
            self.view.feed(data)
            for finding in self._scanner.feed(data):
                if finding.fatal and not finding.suppressed:
                    self._raise(alarm_of_finding(finding))

    def _next_piece(self, end: int | None) -> int:
        most = self._heard + _PIECE
        return most if end is None else min(most, end)

    def _begin_boot(self, offset: int) -> None:
        try:
            self._scanner.cut(offset)
        except StateError:
            # The mark came late: lines behind it were heard already, as part of the old boot.
            self._scanner.cut(self._heard)

    def _raise(self, alarm: Alarm | None) -> None:
        if alarm is not None:
            insort(self._alarms, alarm, lo=self._passed, key=lambda known: known.start)
