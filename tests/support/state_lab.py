"""States for tests: a SAC guest that boots in a tenth of a second, in a cache of the test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from emulator.clock import Deadline
from emulator.machine.machine import Machine, open_machine
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import QemuBinary, find_qemu
from emulator.machine.spec import MachineSpec
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.profile import load_profile
from emulator.snapshots.manifest import SnapshotRequest
from emulator.snapshots.snapshot import Snapshot
from emulator.snapshots.store import SnapshotStore
from harness.guests.sac import SacGuest
from harness.play.session import Session
from harness.scenario.stages import Stage
from harness.snapshots.start import reach_stage

TCG = Choice(accelerator="tcg", reason="what every host has")
DRIVER = partial(SacGuest, profile=load_profile("2022"))


def soon() -> Deadline:
    return Deadline.after(120)


@dataclass
class StateLab:
    """A cache of states of one machine, and what was done to fill it."""

    root: Path
    qemu: QemuBinary = field(default_factory=find_qemu)
    spec: MachineSpec = field(default_factory=lambda: sac_spec(way=SacBoot.PVH))
    boots: int = 0
    forks: int = 0

    @property
    def request(self) -> SnapshotRequest:
        return SnapshotRequest(spec=self.spec, stage=Stage.CMD, label="sac")

    def store(self) -> SnapshotStore:
        """Another process's view of the cache."""
        return SnapshotStore(root=self.root / "states", qemu=self.qemu)

    def ensure(self, store: SnapshotStore | None = None) -> Snapshot:
        return (store or self.store()).ensure(self.request, TCG, self.reach, soon())

    def reach(self, machine: Machine, deadline: Deadline) -> None:
        self.boots += 1
        reach_stage(DRIVER, Stage.CMD)(machine, deadline)

    def with_qemu(self, script: str) -> "StateLab":
        """The same cache, used with a QEMU that is a shell script around the real one."""
        program = self.root / f"qemu-{len(list(self.root.glob('qemu-*')))}"
        program.write_text(f"#!/bin/sh\n{script.replace('QEMU', str(self.qemu.path))}\n")
        program.chmod(0o700)
        return replace(self, qemu=replace(self.qemu, path=program), boots=0)

    @contextmanager
    def fork(self, state: Snapshot, *, own: Path | None = None) -> Iterator[Machine]:
        self.forks += 1
        spec, origin = state.fork(name="fork", seed=self.forks, own=own)
        opened = open_machine(
            spec, run_dir=self.root / f"fork{self.forks}", qemu=self.qemu, accelerator=TCG, origin=origin
        )
        with opened as machine:
            yield machine


def prove_life(machine: Machine) -> None:
    """Let a SAC guest answer."""
    DRIVER(Session(machine.console)).prove_life(soon())
