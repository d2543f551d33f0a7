"""How a machine begins: gone on from a golden state where that can be, else booted, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import LabError, MissingPrerequisite, SavedStateError
from emulator.machine.machine import Machine
from emulator.machine.origin import Origin
from emulator.machine.spec import MachineSpec
from emulator.states.request import StateRequest
from emulator.states.state import SavedState
from harness.golden.reach import reach_stage
from harness.golden.wanted import WantedState
from harness.lab import Lab

MAKE_S = 300.0
"""Seconds that a state may take to be made, or another process to make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What to open, and what to say of it.

    Attributes:
        spec: the machine.
        origin: the state that it goes on from; None boots it.
        why: why it is booted although a state was wanted; empty otherwise.
        anew: why the state that was there was not used, but made anew; empty otherwise.
    """

    spec: MachineSpec
    origin: Origin | None = None
    why: str = ""
    anew: str = ""

    def booted(self, why: str) -> Start:
        """Return the start of the same machine by a boot, because of `why`."""
        return Start(spec=self.spec if self.origin is None else self.origin.spec, why=why)

    @property
    def shares(self) -> tuple[str, ...]:
        """What it has in common with every other fork of its state."""
        return () if self.origin is None else self.origin.shared

    @property
    def says(self) -> str:
        """One line for a report: "forked from shell 1a2b3c4d, RAM shared", "booted", "booted: REASON"."""
        if self.origin is None:
            return f"booted: {self.why}" if self.why else "booted"
        ram = "RAM shared" if self.origin.ram is not None else "RAM copied"
        anew = f" (made anew: {self.anew})" if self.anew else ""
        return f"forked from {self.origin.stage} {self.origin.key[:12]}, {ram}{anew}"


def start_machine(machine: Machine, start: Start, deadline: Deadline) -> None:
    """Power a machine on that was opened for `start`.

    Raises:
        SavedStateError: its state can't be loaded; the machine is off.
        LabError: it can't be booted; the same.
    """
    try:
        machine.power_on(deadline)
    except LabError as error:
        if start.origin is None:
            raise
        raise SavedStateError(f"state {start.origin.key} can't be loaded: {error}") from error


def ensure_state(lab: Lab, wanted: WantedState) -> SavedState:
    """Return the state that is wanted, made first if it is not there yet.

    Raises:
        SavedStateError: it can't be made; the text says why.
        LabError, MissingPrerequisite: the machine can't be booted.
    """
    request = StateRequest(
        spec=wanted.spec,
        stage=wanted.stage,
        label=wanted.label,
        host_reads_disks=wanted.host_reads_disks,
    )
    deadline = Deadline.after(MAKE_S * lab.time_scale, lab.clock)
    reach = reach_stage(wanted.driver, wanted.stage)
    return lab.states.ensure(request, lab.choice(wanted.spec.machine), reach, deadline)


def choose_start(lab: Lab, wanted: WantedState, *, own_disks: Path | None = None) -> Start:
    """Return how to begin a machine: from the state that is wanted, or where that can't be by a boot.

    Args:
        lab: the bench, with the cache.
        wanted: the state; name and seed of its spec are the machine's.
        own_disks: a directory for copies of its disks, if the host shall read them.
    """
    spec = wanted.spec
    if lab.cold:
        return Start(spec=spec, why="--cold")
    try:
        state = ensure_state(lab, wanted)
        forked, origin = state.fork(name=spec.name, seed=spec.seed, own=own_disks)
    except (LabError, MissingPrerequisite) as error:
        return Start(spec=spec, why=f"no state at {wanted.stage}: {str(error).splitlines()[0]}")
    return Start(spec=forked, origin=origin, anew=lab.states.refused.pop(origin.key, ""))
