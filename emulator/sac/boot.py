"""From the SAC guest to a machine that boots it.

What it boots from is composed on first use from the package's data: below a name that has the data's digest,
so that it never changes while a guest reads it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from enum import StrEnum
from importlib import resources
from pathlib import Path

from emulator import places
from emulator.errors import SpecError
from emulator.files import open_whole
from emulator.machine.spec import Disk, Firmware, MachineSpec, MachineType
from emulator.sac.disk import (
    BOOT_SECTOR,
    DISK_BYTES,
    EFI_STUB,
    IMAGE,
    CrashDump,
    blank_multiboot,
    compose_disk,
    flatten,
    read_dump,
)
from emulator.sac.knobs import FW_CFG_NAME, SacKnobs
from emulator.sac.profile import IDENTITY

MANUFACTURER = "ttylab"
_PVH, _MULTIBOOT, _SHARED_DISK = "pvh.elf", "multiboot.elf", "disk.img"


class SacBoot(StrEnum):
    """Ways to boot the SAC guest."""

    BIOS_DISK = "bios-disk"
    UEFI_DISK = "uefi-disk"
    MULTIBOOT = "multiboot"
    PVH = "pvh"


def sac_spec(
    *,
    way: SacBoot,
    machine: MachineType = MachineType.Q35,
    vcpus: int = 1,
    memory_mib: int = 64,
    knobs: SacKnobs | None = None,
    name: str = "sac",
    disk: Path | None = None,
    uuid: str | None = None,
    root: Path | None = None,
) -> MachineSpec:
    """Return a machine that boots the SAC guest.

    Without `disk` the guest has a view of its own of a shared disk: it survives resets, and ends with QEMU.
    SMBIOS tells what it is: manufacturer "ttylab", product "ttylab SAC guest (not Windows)".

    Args:
        way: how it boots; PVH starts by qboot, which is the fastest.
        machine: pc or q35.
        vcpus: 1 to 4; the guest uses one and parks the others.
        memory_mib: MiB.
        knobs: how the guest behaves.
        name: the machine's.
        disk: absolute path of a disk that `write_sac_disk` made, for what has to be kept: a crash dump.
        uuid: the machine's, which the guest shows; none shows zeros.
        root: where composed files are kept; default `places.sac_guest()`.

    Raises:
        SpecError: a value is wrong, or the machine is a microvm.
        ImageError: the package's data are damaged.
        FileError: a file can't be written.
    """
    if machine is MachineType.MICROVM:
        raise SpecError("machine is microvm; allowed: pc q35 for the SAC guest, which needs ACPI and PCI")
    directory = root or places.sac_guest()
    kernel, disks = _boot_files(way, disk, directory=directory)
    identity = (("manufacturer", MANUFACTURER), ("product", IDENTITY))
    return MachineSpec(
        name=name,
        machine=machine,
        firmware=Firmware.OVMF if way is SacBoot.UEFI_DISK else Firmware.SEABIOS,
        vcpus=vcpus,
        memory_mib=memory_mib,
        kernel=kernel,
        qboot=way is SacBoot.PVH,
        disks=disks,
        fw_cfg=((FW_CFG_NAME, (knobs or SacKnobs()).to_fw_cfg()),),
        smbios=identity if uuid is None else (*identity, ("uuid", uuid)),
    )


def _boot_files(way: SacBoot, disk: Path | None, *, directory: Path) -> tuple[Path | None, tuple[Disk, ...]]:
    own = () if disk is None else (Disk(path=disk),)
    if way is SacBoot.PVH:
        return _ensure(directory, _PVH), own
    if way is SacBoot.MULTIBOOT:
        return _ensure(directory, _MULTIBOOT), own
    return None, own or (Disk(path=_ensure(directory, _SHARED_DISK), discard_writes=True),)


def write_sac_disk(path: Path) -> None:
    """Write a SAC guest's disk to a new file: sparse, 5.3 MiB long, some 150 KiB of them written.

    Raises:
        ImageError: the package's data are damaged.
        OSError: the file is there, or can't be written.
    """
    parts = compose_disk(flatten(_data(IMAGE)), boot_sector=_data(BOOT_SECTOR), efi_stub=_data(EFI_STUB))
    with path.open("xb") as file:
        _write_parts(file.fileno(), parts)


def read_sac_dump(path: Path) -> CrashDump | None:
    """Return the crash dump on a disk of `write_sac_disk`; None before the boot after a bugcheck.

    Raises:
        ImageError: it is no such disk, or the file on it is no dump.
        OSError: it can't be read.
    """
    return read_dump(path.read_bytes())


def _ensure(directory: Path, name: str) -> Path:
    data = {each: _data(each) for each in (IMAGE, BOOT_SECTOR, EFI_STUB)}
    digest = hashlib.sha256(b"".join(data.values())).hexdigest()[:16]
    path = directory.absolute() / f"{digest}-{name}"
    if path.exists():
        return path
    image = data[IMAGE]
    whole: Iterable[tuple[int, bytes]] = ((0, image),)
    if name == _PVH:
        whole = ((0, blank_multiboot(image)),)
    elif name == _SHARED_DISK:
        whole = compose_disk(flatten(image), boot_sector=data[BOOT_SECTOR], efi_stub=data[EFI_STUB])
    with open_whole(path, private=True, parents=True) as file:  # several runs may start at once
        _write_parts(file.fileno(), whole, size=DISK_BYTES if name == _SHARED_DISK else 0)
    return path


def _write_parts(fd: int, parts: Iterable[tuple[int, bytes]], *, size: int = DISK_BYTES) -> None:
    os.truncate(fd, size)
    for offset, content in parts:
        os.pwrite(fd, content, offset)


def _data(name: str) -> bytes:
    return (resources.files("emulator.sac") / "data" / name).read_bytes()
