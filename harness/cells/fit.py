"""Which scenario can run on which machine and image, from facts that are known beforehand; pure."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from emulator.errors import SpecError
from emulator.machine.control import capabilities
from emulator.machine.spec import Disk, MachineSpec
from harness.cells.cell import Cell
from harness.scenario.kind import GuestKind, kind_of
from harness.scenario.scenario import Scenario
from harness.targets.service_abilities import service_misfit


class TargetKind(StrEnum):
    """What a cell is played on."""

    MACHINE = "machine"
    SERVICE = "service"


REGISTERED = "registered"
"""Feature of an image that its user registered on this host."""
_ANY_KERNEL = Path("/kernel")
_ANY_DISK = Disk(path=Path("/disk"))


def is_pair(scenario: Scenario, features: frozenset[str]) -> bool:
    """Tell whether an image that offers `features` is of the kind of guest that `scenario` is for."""
    return kind_of(features) is scenario.guest


def misfit(
    cell: Cell, scenario: Scenario, features: frozenset[str], *, target: TargetKind = TargetKind.MACHINE
) -> str | None:
    """Return why `cell` can't be, or None if it can.

    Args:
        cell: the cell.
        scenario: the scenario that it names.
        features: what its image offers ("i6300esb", "spin").
        target: what it is to be played on.
    """
    if cell.vcpus < scenario.min_vcpus:
        return f"{scenario.name} takes {scenario.min_vcpus} vCPUs or more"
    absent = scenario.modules - features
    if absent:
        return f"the guest has no {', '.join(sorted(absent))}"
    if REGISTERED in features:
        return _registered_misfit(cell, scenario, features, target=target)
    missing = _missing(cell, scenario)
    if missing:
        return missing
    return service_misfit(scenario) if target is TargetKind.SERVICE else None


def _missing(cell: Cell, scenario: Scenario) -> str | None:
    """Return what the machine lacks."""
    is_linux = scenario.guest is GuestKind.LINUX
    try:
        spec = MachineSpec(
            name=cell.scenario[:64],
            machine=cell.machine,
            firmware=cell.firmware,
            vcpus=cell.vcpus,
            kernel=_ANY_KERNEL if is_linux else None,
            disks=() if is_linux else (_ANY_DISK,),
            command_line=scenario.kernel_args,
            devices=scenario.devices,
        )
    except SpecError as error:
        return f"no such machine: {error}"
    missing = scenario.needs - capabilities(spec)
    if missing:
        return f"{cell.machine} can't do: {', '.join(sorted(missing))}"
    return None


def _registered_misfit(
    cell: Cell, scenario: Scenario, features: frozenset[str], *, target: TargetKind
) -> str | None:
    if f"boots-{cell.firmware}" not in features:
        return f"{cell.image} is registered as booting under another firmware"
    if target is TargetKind.SERVICE:
        return "the service has no images that their users registered"
    if scenario.keeps_disk:
        return "only the SAC guest's disk can be read from here"
    return _missing(cell, scenario)
