"""What benchmarks of snapshots stand on: guests, their states, forks and boots of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.images.image import linux_spec
from emulator.machine.argv import RamFile
from emulator.machine.machine import Machine, open_machine
from emulator.machine.spec import Board, Firmware, MachineSpec, MachineType
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.profile import load_profile
from emulator.snapshots.manifest import SnapshotRequest
from emulator.snapshots.pool import open_fork
from emulator.snapshots.snapshot import Snapshot
from harness.guests.linux import LinuxGuest
from harness.guests.sac import SacGuest
from harness.play.guest import OpenGuest
from harness.play.session import Session
from harness.scenario.stages import Stage
from harness.snapshots.lab import Lab
from harness.snapshots.start import reach_stage

BOUND_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A guest, and a command with what answers it.

    Attributes:
        name: of its image.
        spec: its machine.
        stage: of the state that is gone on from.
        driver: makes its driver.
        command: what is typed.
        answer: what comes only once that was carried out.
    """

    name: str
    spec: MachineSpec
    stage: Stage
    driver: OpenGuest
    command: bytes
    answer: bytes


def linux(lab: Lab) -> Guest:
    """bookworm on pc with SeaBIOS, at its shell."""
    return Guest(
        name="bookworm",
        spec=linux_spec(
            lab.guest_image("bookworm"), Board(machine=MachineType.PC, firmware=Firmware.SEABIOS)
        ),
        stage=Stage.SHELL,
        driver=LinuxGuest,
        command=b"echo a$((1+1))b\r",
        answer=b"a2b",
    )


def sac(lab: Lab) -> Guest:
    """The SAC guest on q35 with SeaBIOS, at `SAC>`."""
    del lab
    return Guest(
        name="sac",
        spec=sac_spec(way=SacBoot.BIOS_DISK, machine=MachineType.Q35),
        stage=Stage.SAC,
        driver=partial(SacGuest, profile=load_profile("2022")),
        command=b"id\r",
        answer=b"Computer Name:",
    )


class Bench:
    """A lab, a guest, and the guest's state, which is made if it is not there; made by `open_bench`."""

    def __init__(self, lab: Lab, guest: Guest) -> None:
        self.lab = lab
        self.guest = guest
        self.choice = lab.choice(guest.spec)
        self.qemu = lab.qemu(guest.spec)
        request = SnapshotRequest(spec=guest.spec, stage=guest.stage, label=guest.name)
        reach = reach_stage(guest.driver, guest.stage)
        self.state: Snapshot = lab.snapshots(guest.spec).ensure(
            request, self.choice, reach, Deadline.after(BOUND_S)
        )

    @contextmanager
    def paused(self) -> Iterator[Machine]:
        """A fork that is loaded and waits."""
        with tempfile.TemporaryDirectory(dir=self.lab.run_dir) as scratch:
            opened = open_fork(
                self.state, run_dir=Path(scratch) / "fork", qemu=self.qemu, accelerator=self.choice
            )
            with opened as machine:
                yield machine

    @contextmanager
    def booted(self, *, shares_ram: bool = False) -> Iterator[Machine]:
        """A machine that was booted to the guest's stage."""
        with tempfile.TemporaryDirectory(dir=self.lab.run_dir) as scratch:
            ram = RamFile(path=Path(scratch) / "ram", shared=True) if shares_ram else None
            opened = open_machine(
                self.guest.spec,
                run_dir=Path(scratch) / "machine",
                qemu=self.qemu,
                accelerator=self.choice,
                ram=ram,
            )
            with opened as machine:
                self.guest.driver(Session(machine.console)).reach(self.guest.stage, Deadline.after(BOUND_S))
                yield machine

    def clone(self) -> float:
        """Return the seconds from nothing to a fork's answer."""
        began = SYSTEM_CLOCK.monotonic()
        with self.paused() as machine:
            machine.resume(Deadline.after(BOUND_S))
            self.ask(machine)
            return SYSTEM_CLOCK.monotonic() - began

    def boot(self) -> float:
        """Return the seconds from nothing to a booted guest's answer."""
        began = SYSTEM_CLOCK.monotonic()
        with self.booted() as machine:
            self.ask(machine)
            return SYSTEM_CLOCK.monotonic() - began

    def ask(self, machine: Machine) -> None:
        """Type the guest's command, and return once it is answered."""
        start, deadline = len(machine.transcript), Deadline.after(BOUND_S)
        machine.console.write(self.guest.command, deadline)
        while not deadline.expired():
            version = machine.transcript.version
            if self.guest.answer in machine.transcript.read(start):
                return
            machine.transcript.wait_change(version, deadline)
        last = machine.transcript.read()[-200:]
        raise AssertionError(f"{self.guest.answer!r} did not come in {BOUND_S} s; last came {last!r}")


@contextmanager
def open_bench(choose: Callable[[Lab], Guest]) -> Iterator[Bench]:
    """Give a bench in a scratch directory of its own; the states are this user's."""
    with tempfile.TemporaryDirectory() as scratch:
        lab = Lab(run_dir=Path(scratch))
        yield Bench(lab, choose(lab))
