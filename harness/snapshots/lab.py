"""What all that runs guests shares: images, QEMU and the choice of accelerator."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from emulator import places
from emulator.clock import SYSTEM_CLOCK, Clock
from emulator.guest_images.kinds import REGISTERED, GuestImage, open_image
from emulator.machine.host import read_host_budget, worker_count
from emulator.machine.machine import Machine, open_machine
from emulator.machine.pace import fair_clock, measure_slowness
from emulator.machine.power import Origin
from emulator.machine.probe import Choice, choose_accelerator
from emulator.machine.qemu_binary import QemuBinary, find_qemu
from emulator.machine.spec import Accelerator, MachineSpec, MachineType
from emulator.snapshots.store import SnapshotStore

_Engine: TypeAlias = "tuple[str | None, MachineType]"
"""A program and a board, on which the choice of an accelerator and its speed depend."""


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
    _binaries: dict[tuple[str | None, str], QemuBinary] = field(default_factory=dict)
    _stores: dict[Path, SnapshotStore] = field(default_factory=dict)
    _choices: dict[_Engine, Choice] = field(default_factory=dict)
    _images: dict[str, GuestImage] = field(default_factory=dict)
    _paces: dict[_Engine | None, Clock] = field(default_factory=dict)

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

    def qemu(self, spec: MachineSpec) -> QemuBinary:
        """Return the QEMU that a machine asks for; raises MissingPrerequisite if there is none."""
        wanted = (spec.qemu, spec.architecture.name)
        if wanted not in self._binaries:
            self._binaries[wanted] = find_qemu(spec.qemu, architecture=spec.architecture)
        return self._binaries[wanted]

    def snapshots(self, spec: MachineSpec) -> SnapshotStore:
        """Return this user's snapshots that the QEMU of a machine can load."""
        qemu = self.qemu(spec)
        return self._stores.setdefault(qemu.path, SnapshotStore(root=places.snapshots(), qemu=qemu))

    def guest_image(self, name: str) -> GuestImage:
        """Return an image, opened only once unless it is the user's; raises as `open_image`."""
        if name in self._images:
            return self._images[name]
        image = open_image(name)
        if REGISTERED not in image.features:
            self._images[name] = image
        return image

    def choice(self, spec: MachineSpec) -> Choice:
        """Return what executes the guest code of a machine, and why."""
        engine = (spec.qemu, spec.machine)
        if engine not in self._choices:
            self._choices[engine] = choose_accelerator(
                self.accelerator, qemu=self.qemu(spec), machine=spec.machine
            )
        return self._choices[engine]

    def open(
        self,
        spec: MachineSpec,
        *,
        label: str,
        run_dir: Path | None = None,
        start: bool = True,
        origin: Origin | None = None,
    ) -> AbstractContextManager[Machine]:
        """Open a machine, as `open_machine`; its evidence goes to `run_dir`, by default the lab's."""
        return open_machine(
            spec,
            run_dir=run_dir or self.run_dir,
            qemu=self.qemu(spec),
            accelerator=self.choice(spec),
            clock=self.clock,
            label=label,
            start=start,
            origin=origin,
        )

    def pace(self, spec: MachineSpec | None = None) -> Clock:
        """Return what waits for a guest are measured with: time that it got here, not time that passed.

        Without a machine the guest runs elsewhere: only what the host withholds from the lab counts.
        """
        engine = None if spec is None else (spec.qemu, spec.machine)
        if engine not in self._paces:
            self._paces[engine] = self._make_pace(spec)
        return self._paces[engine]

    def _make_pace(self, spec: MachineSpec | None) -> Clock:
        if spec is None or self.clock is not SYSTEM_CLOCK:
            return fair_clock(self.clock)
        slow = measure_slowness(self.qemu(spec), self.choice(spec), machine=spec.machine)
        return fair_clock(self.clock, slow=slow)


CELL_MIB = 450
"""Memory of a running cell: 147-194 MiB of QEMU with a 256 MiB guest (docs/facts/qemu.md 2), pages that the
guest may yet touch, and a worker."""


def cell_workers() -> int:
    """Return how many cells to run at once on this host, given its cores and memory."""
    budget = read_host_budget()
    return worker_count(budget.cores, budget.memory_mib, per_machine_mib=CELL_MIB)
