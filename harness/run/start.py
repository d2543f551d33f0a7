"""How a machine begins: gone on from a golden state where that can be, else booted, and why."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import LabError, MissingPrerequisite, SavedStateError
from emulator.machine.machine import Machine, open_machine
from emulator.machine.origin import Origin
from emulator.machine.spec import MachineSpec
from emulator.snapshots.pool import MachinePool, open_fork, open_pool
from emulator.snapshots.request import StateRequest
from emulator.snapshots.snapshot import SavedState
from harness.play.guest import Guest
from harness.play.session import Session
from harness.run.lab import Lab
from harness.run.wanted import WantedState
from harness.snapshots.reach import reach_stage, renew

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


POWER_S = 30.0
"""Seconds that QEMU may take to start and to load a state; it takes 0.05 to 0.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkedGuest:
    """A guest that stands at the stage it was asked for.

    Attributes:
        machine: its machine.
        console: a dialogue with its console.
        guest: its driver.
        start: how it began.
    """

    machine: Machine
    console: Session
    guest: Guest
    start: Start


@contextmanager
def open_started(start: Start, lab: Lab, *, run_dir: Path, label: str) -> Iterator[tuple[Machine, Start]]:
    """Open a machine and let it run as `start` says, or by a boot if its state can't be loaded.

    What is given is the machine, and how it began in the end.

    Raises:
        LabError: it can't be booted.
    """
    with ExitStack() as stack:
        try:
            machine = stack.enter_context(_running(start, lab, run_dir=run_dir, label=label))
        except SavedStateError as error:
            start = start.booted(str(error).splitlines()[0])
            machine = stack.enter_context(_running(start, lab, run_dir=run_dir, label=label))
        yield machine, start


@contextmanager
def _running(start: Start, lab: Lab, *, run_dir: Path, label: str) -> Iterator[Machine]:
    opened = open_machine(
        start.spec,
        run_dir=run_dir,
        qemu=lab.qemu,
        accelerator=lab.choice(start.spec.machine),
        label=label,
        start=False,
        origin=start.origin,
    )
    with opened as machine:
        start_machine(machine, start, Deadline.after(POWER_S * lab.time_scale))
        yield machine


@contextmanager
def open_forked(
    lab: Lab, wanted: WantedState, *, run_dir: Path, renewed: bool = True
) -> Iterator[ForkedGuest]:
    """Open a guest at a stage: forked from its golden state, or booted to there where that can't be.

    Args:
        lab: the bench.
        wanted: the state.
        run_dir: where the machine's evidence goes.
        renewed: whether a fork gets a clock, random numbers and a boot id of its own, where its stage
            allows it (`renew`).

    Raises:
        LabError: it can be neither forked nor booted.
    """
    chosen = choose_start(lab, wanted)
    label = f"{wanted.label} {wanted.stage}"
    with open_started(chosen, lab, run_dir=run_dir, label=label) as (opened, start):
        if start.origin is None:
            reach_stage(wanted.driver, wanted.stage)(opened, Deadline.after(MAKE_S * lab.time_scale))
        session = Session(opened.console)
        guest = wanted.driver(session)
        if renewed and start.origin is not None:
            renew(guest, wanted.stage, Deadline.after(POWER_S * lab.time_scale))
        yield ForkedGuest(machine=opened, console=session, guest=guest, start=start)


@contextmanager
def open_state_pool(
    lab: Lab, wanted: WantedState, *, run_dir: Path, size: int = 2
) -> Iterator[MachinePool[Machine]]:
    """Open a pool of forks of a state, which is made first if it is not there yet.

    Args:
        lab: the bench, with the cache.
        wanted: the state.
        run_dir: below it each fork keeps its evidence.
        size: how many wait, 1 to 16.

    Raises:
        SpecError: `size` is out of range.
        SavedStateError: the state can't be made.
        LabError, MissingPrerequisite: the machine can't be booted; or, at the end, a fork could not be ended.
    """
    state, count = ensure_state(lab, wanted), itertools.count(1)
    choice = lab.choice(wanted.spec.machine)

    def open_one() -> AbstractContextManager[Machine]:
        place = run_dir / f"pooled{next(count)}"
        return open_fork(state, run_dir=place, qemu=lab.qemu, accelerator=choice)

    with open_pool(open_one, size=size) as pool:
        yield pool
