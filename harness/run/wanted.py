"""The guests of cells, and of snapshots that are asked for by name."""

from __future__ import annotations

import hashlib
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from emulator.errors import SpecError
from emulator.guest_images.board import BOARD, NO_MACHINE
from emulator.guest_images.kinds import GuestImage
from emulator.guest_images.own_kernel import OWN, OWN_LINE
from emulator.machine.models import find_model
from emulator.machine.spec import Board, Firmware, MachineSpec
from emulator.sac.image import write_sac_disk
from emulator.sac.knobs import knob_words
from emulator.values import json_ready
from harness.cells.cell import Cell
from harness.guests.drivers import knock_of, open_guest, require_pair
from harness.scenario.kind import GuestKind, kind_of
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Reach
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab
from harness.snapshots.stage import serving_stage, snapshot_stage
from harness.snapshots.start import WantedGuest

HAS_KNOBS = "has_knobs"
"""Feature of a guest whose behaviour can be set."""
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's, for names that are addresses


def guest_spec(cell: Cell, scenario: Scenario, image: GuestImage) -> MachineSpec:
    """Return the machine of `cell`, always the same one; raises SpecError if there is none.

    The seed is derived from the cell's id, a SAC guest's UUID from the id without the scenario, so that one
    snapshot of the machine serves all scenarios.
    """
    require_pair(scenario, image)
    model = find_model(cell.machine)
    board = Board(
        machine=model.base,
        firmware=cell.firmware,
        words=start_words(cell, scenario, image),
        name=_name(cell),
        uuid=_uuid(cell) if scenario.guest is GuestKind.SAC else None,
    )
    spec = replace(
        model.applied(image.spec(board)),
        vcpus=cell.vcpus,
        devices=scenario.devices,
        watchdog_action=scenario.watchdog_action,
        seed=zlib.crc32(cell.id.encode()),
    )
    return cell.settings.applied(spec)


def _uuid(cell: Cell) -> str:
    return str(uuid.uuid5(_NAMESPACE, cell.id.rpartition(".")[0]))


def _name(cell: Cell) -> str:
    return f"{cell.image}-{cell.scenario}"[:64].rstrip("-")


def start_words(cell: Cell, scenario: Scenario, image: GuestImage) -> tuple[str, ...]:
    """Return what a guest is started with: kernel parameters, or its knobs if it has any.

    None for a disk with a kernel line of its own: they are typed as sysctls at its shell, or the cell is
    skipped (`harness.run.own_guest`).
    """
    if scenario.guest is GuestKind.SAC:
        return knob_words(scenario.knobs) if HAS_KNOBS in image.features else ()
    return () if OWN_LINE in image.features else (*cell.settings.append, *scenario.kernel_args)


def account_of(image: GuestImage) -> str:
    """Return a hash of who logs in to a user's image: a snapshot at the shell serves one account."""
    if OWN not in image.features:
        return ""
    profile = image.linux_console()
    return hashlib.sha256(profile.user + b"\0" + profile.password).hexdigest()


GRUB_WAITS = "ttylab.grub_timeout=3600"
"""A kept menu counts down in each fork: that must take long enough for someone to look at it."""

_IMAGE_OF = {Stage.SAC: "sac", Stage.CMD: "sac", Stage.LOADER: "bookworm-grub"}


def wanted_of(
    cell: Cell,
    scenario: Scenario,
    image: GuestImage,
    *,
    icount_shift: int | None = None,
    firmware_said: Callable[[], bytes] = bytes,
) -> WantedGuest:
    """Return the guest of `cell`, with its scenario and image; raises as `guest_spec`.

    `icount_shift` is as in `MachineSpec`; `firmware_said` returns what its firmware has reported so far.
    """
    return WantedGuest(
        label=cell.image,
        stage=snapshot_stage(scenario),
        spec=_spec(cell, scenario, image, icount_shift),
        driver=open_guest(scenario, image, firmware_said=firmware_said),
        account=account_of(image),
        words=start_words(cell, scenario, image),
        knock=knock_of(scenario.guest),
        has_sac=scenario.guest is GuestKind.SAC,
        write_disk=write_sac_disk if scenario.keeps_disk else None,
    )


def _spec(cell: Cell, scenario: Scenario, image: GuestImage, icount_shift: int | None) -> MachineSpec:
    if cell.machine == BOARD:
        return NO_MACHINE
    return replace(guest_spec(cell, scenario, image), icount_shift=icount_shift)


def snapshots_of(cells: Iterable[Cell], lab: Lab) -> tuple[WantedGuest, ...]:
    """Return the guests whose snapshots `cells` would start from, each once; raises as `wanted_of`."""
    wanted: dict[tuple[object, ...], WantedGuest] = {}
    for cell in cells:
        scenario = find_scenario(cell.scenario)
        if snapshot_stage(scenario) is not None and cell.machine != BOARD:
            snapshot = wanted_of(cell, scenario, lab.guest_image(cell.image))
            common = {**json_ready(snapshot.spec), "name": "", "seed": 0}
            wanted.setdefault(
                (snapshot.stage, snapshot.host_reads_disks, str(sorted(common.items()))), snapshot
            )
    return tuple(wanted.values())


def named_snapshot(
    lab: Lab,
    stage: Stage,
    *,
    image: str = "",
    machine: str = "",
    firmware: str = "",
    vcpus: int = 1,
    kernel_args: Sequence[str] = (),
) -> WantedGuest:
    """Return the guest of a snapshot at a stage, on a plain machine; raises SpecError, ImageError.

    By default the image is one that has the stage, and machine and firmware are q35 for the SAC guest, else
    the image's usual ones; `kernel_args` are added to a Linux guest's command line.
    """
    image = image or _IMAGE_OF.get(stage, "bookworm")
    found = lab.guest_image(image)
    if kernel_args and OWN_LINE in found.features:
        raise SpecError(f"image {image} boots its own kernel line, without {' '.join(kernel_args)}")
    kind = kind_of(found.features)
    served = serving_stage(kind, stage)
    if kind is GuestKind.LINUX and served is Stage.LOADER:
        kernel_args = (*kernel_args, GRUB_WAITS)
    scenario = Scenario(
        name="state",
        title="a snapshot",
        description="boots to the stage that was asked for",
        steps=(Reach(stage=stage),),
        guest=kind,
        kernel_args=tuple(kernel_args),
    )
    usual = found.usual_board
    cell = Cell(
        image=image,
        machine=machine or ("q35" if kind is GuestKind.SAC else usual.machine),
        firmware=Firmware(firmware or usual.firmware),
        vcpus=vcpus,
        scenario=scenario.name,
    )
    return WantedGuest(
        label=image,
        stage=served,
        spec=guest_spec(cell, scenario, found),
        driver=open_guest(scenario, found),
        account=account_of(found),
    )
