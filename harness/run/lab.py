"""What every cell of a run shares: images, QEMU and the choice of accelerator."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from emulator import places
from emulator.clock import SYSTEM_CLOCK, Clock
from emulator.images.kinds import REGISTERED, GuestImage, open_image
from emulator.machine.host import read_host_budget, worker_count
from emulator.machine.pace import fair_clock, measure_slowness
from emulator.machine.probe import Choice, choose_accelerator
from emulator.machine.qemu_binary import QemuBinary, find_qemu
from emulator.machine.spec import Accelerator, MachineType
from emulator.snapshots.store import SnapshotStore


@dataclass
class Lab:
    """The lab of one process; what it finds out, it finds out once.

    Attributes:
        run_dir: where the run's evidence goes.
        accelerator: the accelerator asked for.
        time_scale: factor on every wait, for slow hosts.
        cold: whether every machine is booted, even where a snapshot would serve.
        clock: what stamps, and waits for the lab itself, are measured with; see `pace` for guests.
    """

    run_dir: Path
    accelerator: Accelerator = Accelerator.AUTO
    time_scale: float = 1.0
    cold: bool = False
    clock: Clock = SYSTEM_CLOCK
    _choices: dict[MachineType, Choice] = field(default_factory=dict)
    _images: dict[str, GuestImage] = field(default_factory=dict)
    _paces: dict[MachineType | None, Clock] = field(default_factory=dict)

    def at(self, run_dir: Path) -> Lab:
        """Return this lab for evidence in another directory, with everything it has found out."""
        other = copy.copy(self)
        other.run_dir = run_dir
        return other

    @property
    def run_shown(self) -> str:
        """The run's directory as one types it here: relative where it is below the working directory."""
        here = Path.cwd()
        return str(self.run_dir.relative_to(here) if self.run_dir.is_relative_to(here) else self.run_dir)

    @cached_property
    def qemu(self) -> QemuBinary:
        """The QEMU on PATH; raises MissingPrerequisite if there is none."""
        return find_qemu()

    @cached_property
    def snapshots(self) -> SnapshotStore:
        """The snapshots of this user."""
        return SnapshotStore(root=places.snapshots(), qemu=self.qemu)

    def guest_image(self, name: str) -> GuestImage:
        """Return an image, opened only once unless it is the user's; raises as `open_image`."""
        if name in self._images:
            return self._images[name]
        image = open_image(name)
        if REGISTERED not in image.features:
            self._images[name] = image
        return image

    def choice(self, machine: MachineType) -> Choice:
        """Return what executes guest code on `machine`, and why."""
        if machine not in self._choices:
            self._choices[machine] = choose_accelerator(self.accelerator, qemu=self.qemu, machine=machine)
        return self._choices[machine]

    def pace(self, machine: MachineType | None = None) -> Clock:
        """Return what waits for a guest are measured with: time that it got here, not time that passed.

        Without `machine` the guest runs elsewhere: only what the host withholds from the lab counts.
        """
        if machine not in self._paces:
            self._paces[machine] = self._make_pace(machine)
        return self._paces[machine]

    def _make_pace(self, machine: MachineType | None) -> Clock:
        if machine is None or self.clock is not SYSTEM_CLOCK:
            return fair_clock(self.clock)
        return fair_clock(self.clock, slow=measure_slowness(self.qemu, self.choice(machine), machine=machine))


CELL_MIB = 450
"""Memory of a running cell: 147-194 MiB of QEMU with a 256 MiB guest (docs/facts/qemu.md 2), pages that the
guest may yet touch, and a worker."""


def cell_workers() -> int:
    """Return how many cells to run at once on this host, given its cores and memory."""
    budget = read_host_budget()
    return worker_count(budget.cores, budget.memory_mib, per_machine_mib=CELL_MIB)
