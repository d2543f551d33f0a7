"""Which scenario can run on which machine and image, from facts that are known beforehand; pure."""

from __future__ import annotations

from pathlib import Path

from emulator.errors import SpecError
from emulator.images.kinds import REGISTERED
from emulator.machine.spec import Disk, MachineSpec
from harness.cells.cell import Cell
from harness.scenario.kind import GuestKind, kind_of
from harness.scenario.scenario import Scenario
from harness.targets import find_target
from harness.targets.target_kind import TargetKind

_ANY_KERNEL = Path("/kernel")
_ANY_DISK = Disk(path=Path("/disk"))


def is_pair(scenario: Scenario, features: frozenset[str]) -> bool:
    """Tell whether an image that offers `features` is of the kind of guest that `scenario` is for."""
    return kind_of(features) is scenario.guest


def misfit(
    cell: Cell, scenario: Scenario, features: frozenset[str], *, target: TargetKind | None = None
) -> str | None:
    """Return why `cell` can't be, or None if it can.

    Args:
        cell: the cell.
        scenario: the scenario that it names.
        features: what its image offers ("i6300esb", "spin").
        target: what it is to be played on; default a machine here.
    """
    if cell.vcpus < scenario.min_vcpus:
        return f"{scenario.name} takes {scenario.min_vcpus} vCPUs or more"
    absent = scenario.modules - features
    if absent:
        return f"the guest has no {', '.join(sorted(absent))}"
    if REGISTERED in features and f"boots-{cell.firmware}" not in features:
        return f"{cell.image} is registered as booting under another firmware"
    try:
        spec = _bare_spec(cell, scenario)
    except SpecError as error:
        return f"no such machine: {error}"
    return (target or find_target()).misfit(scenario, features, spec)


def _bare_spec(cell: Cell, scenario: Scenario) -> MachineSpec:
    """Return a machine like the cell's, whose image need not be there."""
    is_linux = scenario.guest is GuestKind.LINUX
    return MachineSpec(
        name=cell.scenario[:64],
        machine=cell.machine,
        firmware=cell.firmware,
        vcpus=cell.vcpus,
        kernel=_ANY_KERNEL if is_linux else None,
        disks=() if is_linux else (_ANY_DISK,),
        command_line=scenario.kernel_args,
        devices=scenario.devices,
    )
