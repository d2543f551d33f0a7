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
from harness.golden.reach import reach_stage
from harness.guests.guest import OpenGuest
from harness.lab import Lab
from harness.stages import Stage

MAKE_S = 300.0
"""Seconds that a state may take to be made, or another process to make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What to open, and what to say of it.

    Attributes:
        spec: the machine.
        origin: the state that it goes on from; None boots it.
        why: why it is booted although a state was wanted; empty otherwise.
    """

    spec: MachineSpec
    origin: Origin | None = None
    why: str = ""

    @property
    def shares(self) -> tuple[str, ...]:
        """What it has in common with every other fork of its state."""
        return () if self.origin is None else self.origin.shared

    @property
    def says(self) -> str:
        """One line for a report: "forked from shell 1a2b3c4d…", "booted", "booted: REASON"."""
        if self.origin is None:
            return f"booted: {self.why}" if self.why else "booted"
        return f"forked from {self.origin.stage} {self.origin.key[:12]}"


def start_machine(machine: Machine, start: Start, deadline: Deadline, *, runs: bool = True) -> None:
    """Power a machine on that was opened for `start`.

    Raises:
        SavedStateError: its state can't be loaded; the machine is off.
        LabError: it can't be booted; the same.
    """
    try:
        machine.power_on(deadline, runs=runs)
    except LabError as error:
        if start.origin is None:
            raise
        raise SavedStateError(f"state {start.origin.key} can't be loaded: {error}") from error


def choose_start(
    lab: Lab,
    spec: MachineSpec,
    stage: Stage,
    driver: OpenGuest,
    *,
    label: str,
    own_disks: Path | None = None,
) -> Start:
    """Return how to begin `spec` at `stage`: its state is made if it is not there yet.

    Where that can't be, the machine is to be booted, and the reason is kept.

    Args:
        lab: the bench, with the cache.
        spec: the machine, as it would be booted.
        stage: of the state; one that `stage.state_stage` returned.
        driver: makes the guest's driver.
        label: whose guest, for people.
        own_disks: a directory for copies of its disks, if the host shall read them.
    """
    request = StateRequest(spec=spec, stage=stage, label=label, host_reads_disks=own_disks is not None)
    try:
        deadline = Deadline.after(MAKE_S * lab.time_scale, lab.clock)
        reach = reach_stage(driver, stage)
        state = lab.states.ensure(request, lab.choice(spec.machine), reach, deadline)
        forked, origin = state.fork(name=spec.name, seed=spec.seed, own=own_disks)
    except (LabError, MissingPrerequisite) as error:
        return Start(spec=spec, why=f"no state at {stage}: {str(error).splitlines()[0]}")
    return Start(spec=forked, origin=origin)
