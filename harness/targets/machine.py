"""A cell's own machine, under QEMU on this host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emulator.guest_images.kinds import REGISTERED
from emulator.machine.control import capabilities, lacks
from emulator.machine.spec import MachineSpec
from harness.scenario.scenario import Scenario
from harness.targets.target_kind import TargetKind, TargetPlace, lacking

if TYPE_CHECKING:
    from harness.play.target import Target
    from harness.snapshots.start import WantedGuest


class MachineTargets:
    """Machines on this host: forked from a snapshot if possible, else booted."""

    name = "machine"
    is_emulated = True

    def misfit(self, scenario: Scenario, features: frozenset[str], spec: MachineSpec) -> str | None:
        """Return what the machine lacks."""
        if REGISTERED in features and scenario.keeps_disk:
            return "only the SAC guest's disk can be read from here"
        return lacking(scenario, capabilities(spec), spec.machine, why=lacks(spec))

    @contextmanager
    def open(self, wanted: WantedGuest, place: TargetPlace) -> Iterator[Target]:
        """Open a machine and let it run."""
        from harness.play.target import Target  # noqa: PLC0415  # not for a list of cells
        from harness.play.vitals import Vitals  # noqa: PLC0415
        from harness.snapshots.start import open_started  # noqa: PLC0415

        opened = open_started(place.lab, wanted, run_dir=place.directory, label=place.label)
        with opened as (machine, start):
            yield Target(
                name=place.label,
                channel=machine.console,
                control=machine,
                disk=start.spec.disks[0].path if wanted.host_reads_disks else None,
                argv=machine.argv,
                start=start.says,
                shares=start.shares,
                vitals=Vitals(machine),
                machine=machine,
            )


KIND: TargetKind = MachineTargets()
