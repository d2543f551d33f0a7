"""Start a machine from a snapshot if possible, else boot it; and make the snapshots."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.clock import Deadline, utc_now
from emulator.errors import LabError, MissingPrerequisite, SnapshotError
from emulator.files import make_missing
from emulator.machine.machine import Machine
from emulator.machine.pace import fair_clock
from emulator.machine.power import Origin
from emulator.machine.spec import Disk, MachineSpec
from emulator.snapshots.manifest import SnapshotRequest
from emulator.snapshots.pool import MachinePool, open_fork, open_pool
from emulator.snapshots.snapshot import Snapshot
from harness.guests.linux import LinuxGuest
from harness.play.guest import Guest, OpenGuest, SacDialogue
from harness.play.screen import Screen
from harness.play.session import Session
from harness.play.vitals import Vitals, watching
from harness.scenario.errors import CommandFailed, GuestError
from harness.scenario.stages import Stage
from harness.snapshots.lab import Lab

REST_S = 1.0
"""Seconds of silence after which a guest counts as at rest: the kernel's last lines come within 2 s (6.1)."""
MENU_REST_S = 0.3
"""The same for a menu, whose countdown writes every second."""


def reach_stage(open_guest: OpenGuest, stage: Stage) -> Callable[[Machine, Deadline], None]:
    """Return a function that brings a machine just powered on to `stage`, for `SnapshotStore.ensure`.

    The function raises SnapshotError if the guest does not reach the stage, or does not come to rest.
    """

    def reach(machine: Machine, deadline: Deadline) -> None:
        session = Session(machine.console)
        guest = open_guest(session)
        try:
            _arrive(guest, machine, stage, deadline)
            rest_s = MENU_REST_S if stage is Stage.LOADER else REST_S
            if not session.wait_quiet(rest_s, deadline):
                raise SnapshotError(f"{machine.spec.name}: did not come to rest at {stage}")
            session.check()
        except GuestError as error:
            raise SnapshotError(f"{machine.spec.name}: did not come to {stage}: {error}") from error

    return reach


def _arrive(guest: Guest, machine: Machine, stage: Stage, deadline: Deadline) -> None:
    with watching(guest.session, Vitals(machine)):
        if stage is Stage.LOADER and isinstance(guest, LinuxGuest):
            Screen(guest.session).wait_for("GNU GRUB", deadline)
        else:
            guest.reach(stage, deadline)


def renew(guest: Guest, stage: Stage, deadline: Deadline) -> None:
    """Set a fork's clock to the host's, seed its random numbers, and give it a boot id of its own.

    At a Linux shell the image's `renew` does all of this; one of a user's that has none gets time and random
    numbers, as far as who is logged in may set them. At a SAC prompt `s` sets the clock, to the minute; that
    guest has neither random numbers nor a boot id. At a menu or a login prompt nothing can be done. Raises
    CommandFailed, and as `Session.expect`.
    """
    if isinstance(guest, SacDialogue) and stage in {Stage.SAC, Stage.CMD}:
        guest.reach(stage, deadline)
        guest.run_sac(f"s {utc_now():%m/%d/%Y %H:%M}", deadline)
    elif stage is Stage.SHELL:
        at, seed = f"{utc_now().timestamp():.0f}", secrets.token_hex(16)
        plain = f"{{ date -u -s @{at}; echo {seed} >/dev/urandom; }} >/dev/null 2>&1 || :"
        command = f"if command -v renew >/dev/null; then renew {at} {seed}; else {plain}; fi"
        result = guest.run(command, deadline)
        if result.status != 0:
            name = guest.session.transcript.name
            message = f"{name}: {command!r} ended with status {result.status}, need 0"
            raise CommandFailed(message, status=result.status, output=result.output)


MAKE_S = 300.0
"""Seconds that making a snapshot may take, here or in another process."""
POWER_S = 30.0
"""Seconds that QEMU may take to start and to load a snapshot; it usually takes 0.05 to 0.5."""
OWN_DISK = "disk0.img"
"""Name of a machine's own disk in its run directory, where the host reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedGuest:
    """A guest that is wanted, and how far it is to have booted.

    Attributes:
        label: the image.
        spec: its machine.
        driver: makes the guest's driver.
        stage: of the snapshot that it starts from; None boots it.
        account: tells apart who is logged in, where users choose that; a hash, for the snapshot's name.
        words: kernel arguments, or a SAC guest's knobs.
        knock: what to type so that a running guest shows its prompt again; empty if nothing is needed.
        has_sac: whether SAC runs on its console, as on Windows.
        write_disk: writes a disk that the host can read while the guest runs and after; None if not needed.
    """

    label: str
    spec: MachineSpec
    driver: OpenGuest
    stage: Stage | None = None
    account: str = ""
    words: tuple[str, ...] = ()
    knock: bytes = b""
    has_sac: bool = False
    write_disk: Callable[[Path], None] | None = None

    @property
    def host_reads_disks(self) -> bool:
        """Whether the host reads the disks of forks of its snapshot."""
        return self.write_disk is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What to open, and what to say about it.

    Attributes:
        spec: the machine.
        origin: the snapshot that it is forked from; None boots it.
        why: why it is booted although a snapshot was wanted; empty otherwise.
        anew: why the existing snapshot was replaced by a new one; empty otherwise.
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


def ensure_snapshot(
    lab: Lab,
    wanted: WantedGuest,
    *,
    reach: Callable[[Machine, Deadline], None] | None = None,
    deadline: Deadline | None = None,
) -> Snapshot:
    """Return the snapshot that is wanted, which is made first if there is none; raises SnapshotError.

    By default `reach` is that of the guest's driver, and the `deadline` in `MAKE_S`.
    """
    if wanted.stage is None:
        raise SnapshotError(f"{wanted.label}: no snapshot serves a boot")
    request = SnapshotRequest(
        spec=wanted.spec,
        stage=wanted.stage,
        label=wanted.label,
        host_reads_disks=wanted.host_reads_disks,
        account=wanted.account,
    )
    deadline = deadline or Deadline.after(MAKE_S * lab.time_scale, fair_clock(lab.clock))
    reach = reach or reach_stage(wanted.driver, wanted.stage)
    return lab.snapshots(wanted.spec).ensure(request, lab.choice(wanted.spec), reach, deadline)


@contextmanager
def open_started(
    lab: Lab, wanted: WantedGuest, *, run_dir: Path, label: str
) -> Iterator[tuple[Machine, Start]]:
    """Open a machine and let it run: forked from its snapshot, or booted if that is not possible.

    Yields the machine, and how it began. Its evidence goes to `run_dir`; `label` is what `ttylab attach`
    shows. Raises LabError.
    """
    with ExitStack() as stack:
        start = _choose_start(lab, wanted, run_dir)
        try:
            machine = stack.enter_context(_running(lab, start, run_dir=run_dir, label=label))
        except SnapshotError as error:
            start = _boot(wanted, run_dir, why=str(error).splitlines()[0])
            machine = stack.enter_context(_running(lab, start, run_dir=run_dir, label=label))
        yield machine, start


def _choose_start(lab: Lab, wanted: WantedGuest, run_dir: Path) -> Start:
    if wanted.stage is None:
        return _boot(wanted, run_dir)
    if lab.cold:
        return _boot(wanted, run_dir, why="--cold")
    if wanted.host_reads_disks:
        make_missing(run_dir)
    spec, own = wanted.spec, run_dir if wanted.host_reads_disks else None
    try:
        snapshot = ensure_snapshot(lab, wanted)
        forked, origin = snapshot.fork(name=spec.name, seed=spec.seed, own=own)
    except (LabError, MissingPrerequisite) as error:
        return _boot(wanted, run_dir, why=f"no snapshot at {wanted.stage}: {str(error).splitlines()[0]}")
    return Start(spec=forked, origin=origin, anew=lab.snapshots(spec).refused.pop(origin.key, ""))


def _boot(wanted: WantedGuest, run_dir: Path, *, why: str = "") -> Start:
    """Return the start of a machine that is booted, with a new disk if the host reads it."""
    if wanted.write_disk is None:
        return Start(spec=wanted.spec, why=why)
    make_missing(run_dir)
    disk = (run_dir / OWN_DISK).absolute()
    disk.unlink(missing_ok=True)
    wanted.write_disk(disk)
    return Start(spec=replace(wanted.spec, disks=(Disk(path=disk),)), why=why)


@contextmanager
def _running(lab: Lab, start: Start, *, run_dir: Path, label: str) -> Iterator[Machine]:
    opened = lab.open(start.spec, run_dir=run_dir, label=label, start=False, origin=start.origin)
    with opened as machine:
        _power_on(machine, start, Deadline.after(POWER_S * lab.time_scale, lab.clock))
        yield machine


def _power_on(machine: Machine, start: Start, deadline: Deadline) -> None:
    """Power a machine on; raises SnapshotError, and leaves it off, if its snapshot can't be loaded."""
    try:
        machine.power_on(deadline)
    except LabError as error:
        if start.origin is None:
            raise
        raise SnapshotError(f"snapshot {start.origin.key} can't be loaded: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkedGuest:
    """A guest at the stage that was asked for.

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
    lab: Lab,
    wanted: WantedGuest,
    *,
    run_dir: Path,
    renewed: bool = True,
    on_start: Callable[[Machine, Start], None] = lambda _machine, _start: None,
) -> Iterator[ForkedGuest]:
    """Open a guest at a stage: forked from its snapshot, or booted to that stage if that is not possible.

    A fork that is `renewed` gets the right time, and random numbers and a boot id of its own, where its stage
    allows that (`renew`). `on_start` is called as soon as the machine runs. Raises LabError, GuestError.
    """
    stage = Stage.SHELL if wanted.stage is None else wanted.stage
    with open_started(lab, wanted, run_dir=run_dir, label=f"{wanted.label} {stage}") as (machine, start):
        on_start(machine, start)
        if start.origin is None:
            deadline = Deadline.after(MAKE_S * lab.time_scale, fair_clock(lab.clock))
            _arrive(wanted.driver(Session(machine.console)), machine, stage, deadline)
        session = Session(machine.console)
        guest = wanted.driver(session)
        if renewed and start.origin is not None:
            renew(guest, stage, Deadline.after(POWER_S * lab.time_scale, fair_clock(lab.clock)))
        yield ForkedGuest(machine=machine, console=session, guest=guest, start=start)


@contextmanager
def open_snapshot_pool(
    lab: Lab, wanted: WantedGuest, *, run_dir: Path, size: int = 2
) -> Iterator[MachinePool]:
    """Open a pool of forks of a snapshot, which is made first if there is none yet.

    `size` forks wait, 1 to 16; each keeps its evidence below `run_dir`. Raises SpecError if `size` is out of
    range; SnapshotError, LabError, MissingPrerequisite; LabError too if a fork could not be ended.
    """
    snapshot, count = ensure_snapshot(lab, wanted), itertools.count(1)
    choice = lab.choice(wanted.spec)

    def open_one() -> AbstractContextManager[Machine]:
        place = run_dir / f"pooled{next(count)}"
        return open_fork(snapshot, run_dir=place, qemu=lab.qemu(wanted.spec), accelerator=choice)

    with open_pool(open_one, size=size) as pool:
        yield pool
