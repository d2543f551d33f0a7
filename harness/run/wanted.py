"""The states that cells would go on from, each once; and one that is asked for by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emulator.machine.spec import Firmware, MachineSpec, MachineType
from emulator.sac.image import SacImage
from emulator.values import json_ready
from harness.cells.cell import Cell
from harness.cells.spec import guest_spec
from harness.guests.drivers import open_guest
from harness.play.guest import OpenGuest
from harness.run.lab import Lab
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Reach, Scenario
from harness.scenario.stages import Stage
from harness.scenarios import find_scenario
from harness.snapshots.stage import golden_stage, state_stage

GRUB_WAITS = "ttylab.grub_timeout=3600"
"""A menu that is kept counts down in each fork: it must be long enough for whoever looks at it."""

_IMAGE_OF = {Stage.SAC: "sac", Stage.CMD: "sac", Stage.LOADER: "bookworm-grub"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedState:
    """A state to make.

    Attributes:
        label: the image.
        stage: how far its guest comes.
        spec: its machine.
        driver: makes the guest's driver.
        host_reads_disks: whether the host reads the disks of what goes on from it.
    """

    label: str
    stage: Stage
    spec: MachineSpec
    driver: OpenGuest
    host_reads_disks: bool = False


def state_of(cell: Cell, scenario: Scenario, lab: Lab) -> WantedState | None:
    """Return the state that `cell` would go on from; None where it begins with a boot.

    Raises:
        SpecError: there is no such machine.
        ImageError: the image can't be had.
    """
    stage = golden_stage(scenario)
    if stage is None:
        return None
    image = lab.guest_image(cell.image)
    return WantedState(
        label=cell.image,
        stage=stage,
        spec=guest_spec(cell, scenario, image),
        driver=open_guest(scenario, image),
        host_reads_disks=scenario.keeps_disk,
    )


def states_of(cells: Iterable[Cell], lab: Lab) -> tuple[WantedState, ...]:
    """Return the states that `cells` would go on from, each once.

    Raises:
        SpecError: there is no such machine.
        ImageError: an image can't be had.
    """
    wanted: dict[tuple[object, ...], WantedState] = {}
    for cell in cells:
        state = state_of(cell, find_scenario(cell.scenario), lab)
        if state is not None:
            common = {**json_ready(state.spec), "name": "", "seed": 0}
            wanted.setdefault((state.stage, state.host_reads_disks, str(sorted(common.items()))), state)
    return tuple(wanted.values())


def named_state(
    lab: Lab,
    stage: Stage,
    *,
    image: str = "",
    machine: str = "",
    firmware: str = Firmware.SEABIOS,
    vcpus: int = 1,
    kernel_args: Sequence[str] = (),
) -> WantedState:
    """Return the state of an image at a stage, on a machine that has nothing else to it.

    Args:
        lab: the bench.
        stage: how far the guest comes.
        image: whose; by default one that has the stage.
        machine: the board; by default q35 for the SAC guest, else pc.
        firmware: what starts it.
        vcpus: 1 to 4.
        kernel_args: added to a Linux guest's command line.

    Raises:
        SpecError: there is no such machine or stage.
        ImageError: the image can't be had.
    """
    image = image or _IMAGE_OF.get(stage, "bookworm")
    found = lab.guest_image(image)
    kind = GuestKind.SAC if isinstance(found, SacImage) else GuestKind.LINUX
    served = state_stage(kind, stage)
    if kind is GuestKind.LINUX and served is Stage.LOADER:
        kernel_args = (*kernel_args, GRUB_WAITS)
    scenario = Scenario(
        name="state",
        title="a golden state",
        description="stands where it was asked for",
        steps=(Reach(stage=stage),),
        guest=kind,
        kernel_args=tuple(kernel_args),
    )
    cell = Cell(
        image=image,
        machine=MachineType(machine or ("q35" if kind is GuestKind.SAC else "pc")),
        firmware=Firmware(firmware),
        vcpus=vcpus,
        scenario=scenario.name,
    )
    return WantedState(
        label=image, stage=served, spec=guest_spec(cell, scenario, found), driver=open_guest(scenario, found)
    )
