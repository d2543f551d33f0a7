"""How a machine begins: gone on from a snapshot where that can be, else booted, and why."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from emulator.clock import Clock, Deadline
from emulator.errors import LabError, MissingPrerequisite, SnapshotError
from emulator.machine.machine import Machine, open_machine
from emulator.machine.power import Origin
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import QemuBinary
from emulator.machine.spec import Disk, MachineSpec, MachineType
from emulator.snapshots.pool import MachinePool, open_fork, open_pool
from emulator.snapshots.request import SnapshotRequest
from emulator.snapshots.snapshot import Snapshot
from emulator.snapshots.store import SnapshotStore
from harness.play.guest import Guest, OpenGuest
from harness.play.session import Session
from harness.scenario.stages import Stage
from harness.snapshots.reach import reach_stage, renew

MAKE_S = 300.0
"""Seconds that a snapshot may take to be made, or another process to make it."""
POWER_S = 30.0
"""Seconds that QEMU may take to start and to load a snapshot; it takes 0.05 to 0.5."""
OWN_DISK = "disk0.img"
"""In a machine's run directory, where the host reads it."""


class MachineTools(Protocol):
    """What a machine is opened with; `harness.run.lab.Lab` has it."""

    clock: Clock
    time_scale: float
    cold: bool

    @property
    def qemu(self) -> QemuBinary:
        """The program."""
        ...

    @property
    def snapshots(self) -> SnapshotStore:
        """The snapshots of this user."""
        ...

    def choice(self, machine: MachineType) -> Choice:
        """Return who executes guest code on a board."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedGuest:
    """A guest that is wanted, and how far it shall have come.

    Attributes:
        label: the image.
        spec: its machine.
        driver: makes the guest's driver.
        stage: of the snapshot that it goes on from; None begins with a boot.
        words: what the guest is told: kernel parameters, or knobs of a SAC guest.
        knock: what makes a guest that runs already show its prompt anew; empty where nothing is needed.
        has_sac: whether a SAC speaks on its console, as Windows has it.
        write_disk: writes a disk that the host can read while and after the guest runs; None needs none.
    """

    label: str
    spec: MachineSpec
    driver: OpenGuest
    stage: Stage | None = None
    words: tuple[str, ...] = ()
    knock: bytes = b""
    has_sac: bool = False
    write_disk: Callable[[Path], None] | None = None

    @property
    def host_reads_disks(self) -> bool:
        """Whether the host reads the disks of what goes on from its snapshot."""
        return self.write_disk is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What to open, and what to say of it.

    Attributes:
        spec: the machine.
        origin: the snapshot that it goes on from; None boots it.
        why: why it is booted although a snapshot was wanted; empty otherwise.
        anew: why the snapshot that was there was not used, but made anew; empty otherwise.
    """

    spec: MachineSpec
    origin: Origin | None = None
    why: str = ""
    anew: str = ""

    @property
    def shares(self) -> tuple[str, ...]:
        """What it has in common with every other fork of its snapshot."""
        return () if self.origin is None else self.origin.shared

    @property
    def says(self) -> str:
        """One line for a report: "forked from shell 1a2b3c4d, RAM shared", "booted", "booted: REASON"."""
        if self.origin is None:
            return f"booted: {self.why}" if self.why else "booted"
        ram = "RAM shared" if self.origin.ram is not None else "RAM copied"
        anew = f" (made anew: {self.anew})" if self.anew else ""
        return f"forked from {self.origin.stage} {self.origin.key[:12]}, {ram}{anew}"


def ensure_snapshot(bench: MachineTools, wanted: WantedGuest) -> Snapshot:
    """Return the snapshot that is wanted, made first if it is not there yet.

    Raises:
        SnapshotError: it can't be made, or none is wanted; the text says why.
        LabError, MissingPrerequisite: the machine can't be booted.
    """
    if wanted.stage is None:
        raise SnapshotError(f"{wanted.label}: no snapshot serves a boot")
    request = SnapshotRequest(
        spec=wanted.spec,
        stage=wanted.stage,
        label=wanted.label,
        host_reads_disks=wanted.host_reads_disks,
    )
    deadline = Deadline.after(MAKE_S * bench.time_scale, bench.clock)
    reach = reach_stage(wanted.driver, wanted.stage)
    return bench.snapshots.ensure(request, bench.choice(wanted.spec.machine), reach, deadline)


@contextmanager
def open_started(
    bench: MachineTools, wanted: WantedGuest, *, run_dir: Path, label: str
) -> Iterator[tuple[Machine, Start]]:
    """Open a machine and let it run: gone on from its snapshot, or booted where that can't be.

    What is given is the machine, and how it began.

    Args:
        bench: the lab.
        wanted: the guest.
        run_dir: where the machine's evidence goes.
        label: what `ttylab attach` shows.

    Raises:
        LabError: it can't be booted.
    """
    with ExitStack() as stack:
        start = _choose_start(bench, wanted, run_dir)
        try:
            machine = stack.enter_context(_running(bench, start, run_dir=run_dir, label=label))
        except SnapshotError as error:
            start = _boot(wanted, run_dir, why=str(error).splitlines()[0])
            machine = stack.enter_context(_running(bench, start, run_dir=run_dir, label=label))
        yield machine, start


def _choose_start(bench: MachineTools, wanted: WantedGuest, run_dir: Path) -> Start:
    if wanted.stage is None:
        return _boot(wanted, run_dir)
    if bench.cold:
        return _boot(wanted, run_dir, why="--cold")
    if wanted.host_reads_disks:
        run_dir.mkdir(parents=True, exist_ok=True)
    spec, own = wanted.spec, run_dir if wanted.host_reads_disks else None
    try:
        snapshot = ensure_snapshot(bench, wanted)
        forked, origin = snapshot.fork(name=spec.name, seed=spec.seed, own=own)
    except (LabError, MissingPrerequisite) as error:
        return _boot(wanted, run_dir, why=f"no snapshot at {wanted.stage}: {str(error).splitlines()[0]}")
    return Start(spec=forked, origin=origin, anew=bench.snapshots.refused.pop(origin.key, ""))


def _boot(wanted: WantedGuest, run_dir: Path, *, why: str = "") -> Start:
    """Return how a machine is booted; its disk is made anew where the host reads it."""
    if wanted.write_disk is None:
        return Start(spec=wanted.spec, why=why)
    run_dir.mkdir(parents=True, exist_ok=True)
    disk = (run_dir / OWN_DISK).absolute()
    disk.unlink(missing_ok=True)
    wanted.write_disk(disk)
    return Start(spec=replace(wanted.spec, disks=(Disk(path=disk),)), why=why)


@contextmanager
def _running(bench: MachineTools, start: Start, *, run_dir: Path, label: str) -> Iterator[Machine]:
    opened = open_machine(
        start.spec,
        run_dir=run_dir,
        qemu=bench.qemu,
        accelerator=bench.choice(start.spec.machine),
        clock=bench.clock,
        label=label,
        start=False,
        origin=start.origin,
    )
    with opened as machine:
        _power_on(machine, start, Deadline.after(POWER_S * bench.time_scale, bench.clock))
        yield machine


def _power_on(machine: Machine, start: Start, deadline: Deadline) -> None:
    """Power a machine on; raises SnapshotError where its snapshot can't be loaded, and it is off."""
    try:
        machine.power_on(deadline)
    except LabError as error:
        if start.origin is None:
            raise
        raise SnapshotError(f"snapshot {start.origin.key} can't be loaded: {error}") from error


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
def open_forked(
    bench: MachineTools, wanted: WantedGuest, *, run_dir: Path, renewed: bool = True
) -> Iterator[ForkedGuest]:
    """Open a guest at a stage: forked from its snapshot, or booted to there where that can't be.

    Args:
        bench: the lab.
        wanted: the guest, and its stage.
        run_dir: where the machine's evidence goes.
        renewed: whether a fork gets a clock, random numbers and a boot id of its own, where its stage
            allows it (`renew`).

    Raises:
        LabError: it can be neither forked nor booted.
    """
    stage = Stage.SHELL if wanted.stage is None else wanted.stage
    with open_started(bench, wanted, run_dir=run_dir, label=f"{wanted.label} {stage}") as (machine, start):
        if start.origin is None:
            reach_stage(wanted.driver, stage)(machine, Deadline.after(MAKE_S * bench.time_scale, bench.clock))
        session = Session(machine.console)
        guest = wanted.driver(session)
        if renewed and start.origin is not None:
            renew(guest, stage, Deadline.after(POWER_S * bench.time_scale, bench.clock))
        yield ForkedGuest(machine=machine, console=session, guest=guest, start=start)


@contextmanager
def open_snapshot_pool(
    bench: MachineTools, wanted: WantedGuest, *, run_dir: Path, size: int = 2
) -> Iterator[MachinePool[Machine]]:
    """Open a pool of forks of a snapshot, which is made first if it is not there yet.

    Args:
        bench: the lab, with the cache.
        wanted: the snapshot.
        run_dir: below it each fork keeps its evidence.
        size: how many wait, 1 to 16.

    Raises:
        SpecError: `size` is out of range.
        SnapshotError: the snapshot can't be made.
        LabError, MissingPrerequisite: the machine can't be booted; or, at the end, a fork could not be ended.
    """
    snapshot, count = ensure_snapshot(bench, wanted), itertools.count(1)
    choice = bench.choice(wanted.spec.machine)

    def open_one() -> AbstractContextManager[Machine]:
        place = run_dir / f"pooled{next(count)}"
        return open_fork(snapshot, run_dir=place, qemu=bench.qemu, accelerator=choice)

    with open_pool(open_one, size=size) as pool:
        yield pool
