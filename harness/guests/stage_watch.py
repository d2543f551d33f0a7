"""How far a guest has come, forgotten when its machine begins anew."""

from __future__ import annotations

from emulator.console.marks import MarkKind
from emulator.machine.boots import boot_starts
from emulator.machine.origin import FORKED
from harness.session import Session
from harness.stages import Stage

_RESTARTS = frozenset({"RESET", "off", "started"})
"""Marks of the machine after which a guest begins anew."""


class StageWatch:
    """The stage of one session's guest, for the session's thread.

    Attributes:
        session: whose.
        stage: the last stage that was seen.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.stage = Stage.FIRMWARE
        self._marks_seen = 0

    def forget(self) -> None:
        """Forget the stage: the guest was reset or switched off."""
        self.stage = Stage.FIRMWARE
        self._marks_seen = len(self.session.transcript.marks)

    def arrive(self, stage: Stage) -> None:
        """Take note that the guest has come to `stage`."""
        self.stage = stage
        self.session.transcript.mark(MarkKind.STAGE, stage.value)
        self._marks_seen = len(self.session.transcript.marks)

    def resume(self) -> bool:
        """Begin where a saved state stood, if the machine went on from one and has not restarted since.

        All that its guest had shown by then is consumed.
        """
        marks = self.session.transcript.marks
        index = max((i for i, mark in enumerate(marks) if mark.name == FORKED), default=None)
        if index is None or any(mark.name in _RESTARTS for mark in marks[index:]):
            return False
        self.stage = Stage(str(marks[index].detail["stage"]))
        self.session.position = max(self.session.position, marks[index].offset)
        self._marks_seen = len(marks)
        return True

    def notice_restart(self) -> bool:
        """Forget the stage if the machine restarted since it was reached; tell whether it did.

        What the guest wrote before it began anew is consumed: an old prompt must not count.
        """
        marks = self.session.transcript.marks_since(self._marks_seen)
        restarted = self.stage is not Stage.FIRMWARE and any(mark.name in _RESTARTS for mark in marks)
        if restarted:
            self.forget()
        if self.stage is Stage.FIRMWARE:
            self._leave_earlier_boots()
        return restarted

    def _leave_earlier_boots(self) -> None:
        starts = boot_starts(self.session.transcript.marks)
        if starts:
            self.session.position = max(self.session.position, starts[-1].offset)
