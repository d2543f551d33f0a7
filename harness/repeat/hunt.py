"""Do a hunt: repetitions from the plan until there are enough, and their summary so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from emulator.clock import SYSTEM_CLOCK, Clock
from emulator.errors import LabError, MissingPrerequisite
from harness.golden.start import ensure_state
from harness.golden.wanted import state_of
from harness.lab import Lab
from harness.repeat.crew import Crew
from harness.repeat.outcome import Ending
from harness.repeat.plan import Repetition
from harness.repeat.summary import Summary, summarise
from harness.repeat.worker import Job
from harness.verdict import Status


def make_states(job: Job, lab: Lab, shifts: Iterable[int | None]) -> str:
    """Make the saved states that the repetitions go on from, before anything disturbs it.

    Returns:
        Why there is none, so that every machine must be booted; empty where that is as it was asked for.

    Raises:
        SpecError: the cell can't be made into a machine.
        EmulatorError: the image can't be had.
    """
    wanted = None if job.cold else state_of(job.cell, job.scenario, lab)
    if wanted is None:
        return ""
    for shift in shifts:
        try:
            ensure_state(lab, replace(wanted, spec=replace(wanted.spec, icount_shift=shift)))
        except (LabError, MissingPrerequisite) as error:
            return f"no state at {wanted.stage}: {str(error).splitlines()[0]}"
    return ""


@dataclass(slots=True, kw_only=True)
class HuntRun:
    """A hunt on its way.

    Attributes:
        job: what is repeated.
        plan: the repetitions, in order; may have no end if there is a time.
        seconds: after which none is begun any more; None: no limit.
        stop_on_failure: whether none is begun after a failure.
        notes: for the summary.
        on_ending: called with each ending.
    """

    job: Job
    plan: Iterable[Repetition]
    seconds: float | None = None
    stop_on_failure: bool = False
    notes: tuple[str, ...] = ()
    on_ending: Callable[[Ending], None] = lambda _ending: None
    clock: Clock = SYSTEM_CLOCK
    _endings: list[Ending] = field(default_factory=list)

    def run(self) -> Summary:
        """Play and return the summary; Ctrl-C ends it early, and leaves what came to its end by then.

        Raises:
            SpecError: the cell can't be made into a machine.
        """
        began = self.clock.monotonic()
        interrupted = False
        try:
            with Crew(job=self.job, size=self.job.hunt.jobs, clock=self.clock) as crew:
                for ending in crew.play(self._wanted(began)):
                    self._endings.append(ending)
                    self.on_ending(ending)
        except KeyboardInterrupt:
            interrupted = True
        return summarise(
            self.job.hunt,
            self._endings,
            duration_s=self.clock.monotonic() - began,
            interrupted=interrupted,
            stopped=self._has_failed() and self.stop_on_failure,
            notes=self.notes,
        )

    def _wanted(self, began: float) -> Iterator[Repetition]:
        for repetition in self.plan:
            late = self.seconds is not None and self.clock.monotonic() - began >= self.seconds
            if late or (self.stop_on_failure and self._has_failed()):
                return
            yield repetition

    def _has_failed(self) -> bool:
        return any(ending.status is Status.FAILED for ending in self._endings)
