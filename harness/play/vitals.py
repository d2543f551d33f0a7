"""Whether a silent guest can go on at all, and what its machine shows elsewhere than on the console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.console.marks import boot_starts
from emulator.console.transcript import Transcript
from emulator.machine.glance import Glance, glance
from emulator.machine.machine import Machine
from emulator.machine.power import MachineState
from emulator.machine.spec import Device
from harness.play.session import Session
from harness.play.silence import ends_on_screen, explain
from harness.scenario.errors import ExpectTimeout

_LOOK_S = 10.0


@dataclass(slots=True)
class Vitals:
    """Screen and CPUs of one machine, looked at while its console is silent; for the session's thread.

    Attributes:
        machine: the machine.
        gone: whether its guest was found unable to go on.
    """

    machine: Machine
    gone: bool = field(init=False, default=False)
    _stuck_at: str = field(init=False, default="")

    def are_gone(self, shown: bytes) -> bool:
        """Tell whether the guest can't go on by itself, given what its present boot has shown.

        So it is if its CPUs are twice found stuck at one place, or if its screen says what ends a boot.
        """
        if self.machine.state is not MachineState.RUNNING or Device.I6300ESB in self.machine.spec.devices:
            return False
        look = self._look()
        before, self._stuck_at = self._stuck_at, look.cpu if look.is_stuck else ""
        self.gone = (before != "" and before == self._stuck_at) or ends_on_screen(shown, look)
        return self.gone

    def explain(self, shown: bytes) -> str:
        """Return in one line why no login came on ttyS0; empty if nothing tells."""
        return explain(shown, self._look(), starts_kernel=self.machine.spec.kernel is not None)

    def _look(self) -> Glance:
        return glance(self.machine, Deadline.after(_LOOK_S), SYSTEM_CLOCK)


@contextmanager
def watching(session: Session, vitals: Vitals | None) -> Iterator[None]:
    """End waits in the block once the guest is gone; an ExpectTimeout says what its machine shows."""
    if vitals is None:
        yield
        return
    session.is_gone = lambda: vitals.are_gone(_of_this_boot(session.transcript))
    try:
        yield
    except ExpectTimeout as error:
        why = vitals.explain(_of_this_boot(session.transcript))
        text = f"{error}; {why}" if why else str(error)
        told = ExpectTimeout(text, answers=error.answers, final=vitals.gone)
        told.__notes__ = getattr(error, "__notes__", [])
        raise told from error
    finally:
        session.is_gone = None


def _of_this_boot(transcript: Transcript) -> bytes:
    boots = boot_starts(transcript.marks)
    return transcript.read(boots[-1].offset if boots else 0)
