"""A disk that a user brings as an image: never written, each machine has its own view of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from emulator.disks.convert import SAVABLE, DiskFile, savable_file
from emulator.disks.formats import DiskFormat, detect_format, obstacle
from emulator.disks.layout import DiskLayout, esp_start, has_loader, read_layout
from emulator.disks.qemu_img import damage, read_head
from emulator.errors import ImageError, MissingPrerequisite, SpecError
from emulator.files import identity, require_regular
from emulator.guest_images.hashes import hash_once
from emulator.guest_images.own_kernel import OWN, OWN_LINE
from emulator.guest_images.own_profile import OwnGuest, profile_of
from emulator.guest_images.own_room import mark_used
from emulator.guest_images.seed_cd import write_seed
from emulator.guest_text.printable import visible
from emulator.images.image import require_architecture, usual_board
from emulator.kernel_files.identify import HEAD, form_of
from emulator.lab_file.tables import ImageTable
from emulator.machine.architectures import ARCHITECTURES, board_of, feature_of
from emulator.machine.architectures.parts import Architecture
from emulator.machine.spec import Board, Disk, DiskBus, MachineSpec

_LOADERS = (8 << 20, 64 << 20)
"""Bytes of UEFI's partition in which a loader's name is looked for: tables, and what came before it."""
MEMORY_MIB = 1024
"""What a distribution's disk gets that says nothing: systemd and an initramfs with all drivers fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDisk(OwnGuest):
    """A disk of a user's; see `emulator.guest_images.kinds.GuestImage`.

    Attributes:
        name: what its user calls it.
        table: what its user said of it.
        path: the file.
        disk_format: its format, read from the file.
        boots: what machines are given of it: the file, or a copy that can be saved.
        layout: how it boots.
        seed: a CD for cloud-init; None if it has none.
        sha256: hash of the file.
    """

    table: ImageTable
    path: Path
    disk_format: DiskFormat
    boots: DiskFile
    layout: DiskLayout
    seed: Path | None
    sha256: Mapping[str, str]

    @property
    def features(self) -> frozenset[str]:
        """OWN, OWN_LINE and its architecture: what its guest can do is found out."""
        return feature_of(disk_architecture(self.table)) | {OWN, OWN_LINE}

    @property
    def usual_board(self) -> Board:
        """What its table names, else a PC with the firmware that its partitions are for."""
        architecture = disk_architecture(self.table)
        fits = self.layout.firmware if architecture is ARCHITECTURES[0] else architecture.uefi.firmware
        return usual_board(
            architecture, machine=self.table.machine, firmware=self.table.firmware or fits, who=self.name
        )

    def provenance(self) -> dict[str, object]:
        """Return what it is, ready for JSON."""
        return {
            "name": self.name,
            "own": "disk",
            "files": {"disk": str(self.path)},
            "format": self.disk_format.value,
            "sha256": dict(self.sha256),
        }

    def spec(self, board: Board) -> MachineSpec:
        """Return a machine that boots it; raises SpecError for kernel parameters: its loader has its own."""
        if board.words:
            raise SpecError(f"image {self.name} boots its own kernel line, without {' '.join(board.words)}")
        require_architecture(self.name, disk_architecture(self.table), board.machine)
        own = Disk(**asdict(self.boots), bus=self._bus, discard_writes=True)
        seed = () if self.seed is None else (Disk(path=self.seed, read_only=True),)
        return MachineSpec(
            name=board.name or self.name,
            machine=board.machine,
            firmware=board.firmware,
            memory_mib=self.table.memory_mib or MEMORY_MIB,
            disks=(own, *seed),
            firmware_on_serial=not board.firmware.is_uefi,
            generation_id=board_of(board.machine).generation_id,
            smbios=board.smbios,
        )

    @property
    def _bus(self) -> DiskBus:
        """The clouds' and VMware's disks may lack virtio; SATA and IDE are in every initramfs."""
        if self.table.bus is not None:
            return DiskBus(self.table.bus)
        is_pc = disk_architecture(self.table) is ARCHITECTURES[0]
        return DiskBus.SATA if is_pc and self.disk_format not in SAVABLE else DiskBus.VIRTIO


def disk_architecture(table: ImageTable) -> Architecture:
    """Return what a disk is for: as its table names board or firmware, else as the loaders for UEFI on it.

    What is wrong with it is said when it is opened; until then it is taken to be for x86-64.
    """
    for one in ARCHITECTURES:
        if table.machine in [board.machine for board in one.boards] or table.firmware in one.firmwares:
            return one
    if table.disk is not None and not table.machine and not table.firmware:
        with suppress(OSError, SpecError, ImageError, MissingPrerequisite):
            return _architecture_on(table.disk, identity(table.disk))
    return ARCHITECTURES[0]


@lru_cache(maxsize=64)
def _architecture_on(path: Path, _identity: tuple[int, ...]) -> Architecture:
    require_regular(path)
    disk_format = detect_format(path)
    head = b"" if obstacle(path, disk_format) else read_head(path, disk_format=disk_format)
    start = esp_start(head)
    if start is None or read_layout(head, origin=str(path)).bios:
        return ARCHITECTURES[0]
    for size in _LOADERS:
        names = read_head(path, disk_format=disk_format, at=start, size=size)
        if found := [one for one in ARCHITECTURES if one.uefi.loader in names]:
            return found[0]
    return ARCHITECTURES[0]


def open_disk(name: str, table: ImageTable, *, build: bool = True) -> OwnDisk:
    """Return a user's disk as an image; with `build` in a form that can be saved.

    Raises:
        SpecError: the file is missing, is no disk, rests on another file, is cut off or encrypted, or nothing
            boots from it.
        ImageError: qemu-img can't read it.
        MissingPrerequisite: it is not raw, and qemu-img is not installed.
    """
    if table.disk is None:
        raise SpecError(f"image {name} has no disk")
    shown = f"disk {visible(str(table.disk))}"
    try:
        require_regular(table.disk)
        with table.disk.open("rb") as file:
            if form_of(file.read(HEAD)) is not None:
                raise SpecError(f"{shown}: it is a kernel; allowed: as --kernel, or kernel in lab.toml")
        disk_format = detect_format(table.disk)
        if found := obstacle(table.disk, disk_format) or damage(table.disk, disk_format=disk_format):
            raise SpecError(f"{shown}: {found}")
        head = read_head(table.disk, disk_format=disk_format)
        layout = read_layout(head, origin=shown)
        if not has_loader(head):
            raise SpecError(f"{shown}: not a bootable disk: it has partitions, and no boot loader in front")
        digest = hash_once(table.disk)
        boots = savable_file(table.disk, disk_format, digest=digest, build=build)
        mark_used(boots.path)
    except OSError as error:
        raise SpecError(f"{shown}: {error.strerror}") from error
    profile = profile_of(table, where=f"image {name}")
    return OwnDisk(
        name=name,
        table=table,
        path=table.disk,
        disk_format=disk_format,
        boots=boots,
        layout=layout,
        profile=profile,
        seed=write_seed(name, profile) if table.seed else None,
        sha256={"disk": digest},
    )
