"""How far a guest has booted; forgotten when its machine restarts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from emulator.console.marks import MarkKind, boot_starts
from emulator.guest_text.sac import BootSign
from emulator.machine.power import FORKED
from harness.play.session import Session
from harness.scenario.stages import Stage

_RESTARTS = frozenset({"RESET", "off", "started"})
"""Marks of the machine after which a guest boots again."""


class StageWatch:
    """The stage of one session's guest, for the session's thread; calls raise as `Session.expect`.

    Attributes:
        session: the dialogue with the guest's console.
        stage: the last stage that was seen.
    """

    def __init__(
        self, session: Session, *, find_boots: Callable[[bytes], Sequence[BootSign]] | None = None
    ) -> None:
        """Use `find_boots` to detect boots in the output where no machine reports them (a serial port)."""
        self.session = session
        self.stage = Stage.FIRMWARE
        self._marks_seen = 0
        self._find_boots = find_boots
        self._wire_seen = session.position

    def forget(self) -> None:
        """Forget the stage: the guest was reset or switched off."""
        self.stage = Stage.FIRMWARE
        self._marks_seen = len(self.session.transcript.marks)

    def arrive(self, stage: Stage) -> None:
        """Take note that the guest has reached `stage`."""
        self.stage = stage
        self.session.transcript.mark(MarkKind.STAGE, stage.value)
        self._marks_seen = len(self.session.transcript.marks)
        self._wire_seen = max(self._wire_seen, self.session.position)

    def resume(self) -> bool:
        """Begin at a snapshot's stage, if the machine was forked from one and has not restarted since.

        Everything the guest had shown by then is consumed.
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
        """Forget the stage if the machine has restarted since; consume what it wrote before."""
        marks = self.session.transcript.marks_since(self._marks_seen)
        has_restarted = self.stage is not Stage.FIRMWARE and (
            any(mark.name in _RESTARTS for mark in marks) or self.find_boot_on_wire() is not None
        )
        if has_restarted:
            self.forget()
        if self.stage is Stage.FIRMWARE:
            self.session.position = max(self.session.position, self.boot_start())
        return has_restarted

    def boot_start(self) -> int:
        """Return the raw offset at which the present boot begins, by marks or output; 0 if neither tells."""
        starts = boot_starts(self.session.transcript.marks)
        if starts:
            return starts[-1].offset
        sign = self.find_boot_on_wire()
        return 0 if sign is None else sign.start

    def find_boot_on_wire(self) -> BootSign | None:
        """Return the last boot in the output since the last stage; None if a machine reports boots."""
        transcript = self.session.transcript
        if self._find_boots is None or boot_starts(transcript.marks):
            return None
        boots = self._find_boots(transcript.read(self._wire_seen))
        return replace(boots[-1], start=self._wire_seen + boots[-1].start) if boots else None
