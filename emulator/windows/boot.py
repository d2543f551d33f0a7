"""From Windows that a user registered to a machine that boots it; SMBIOS does not call it ttylab's guest."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from emulator.errors import SpecError
from emulator.files import write_whole
from emulator.machine.spec import Disk, DiskBus, DiskFormat, Firmware, MachineSpec, MachineType
from emulator.machine.windows_parts import WindowsParts
from emulator.windows.image import MEMORY_MIB, Level, WindowsImage
from emulator.windows.registry import WindowsRegistry

LENGTH = 80
_REVISION = 2
_IRQ = 4
_HEADER = "<4sIBB6s8sI4sI"
_BODY = "<B3x4BQBBIBBBBBxHHBBBIB4x"
_COM1 = 0x3F8
_BAUD_115200, _VT_UTF8 = 7, 2
_IO_SPACE, _BYTE_ACCESS = 1, 1
_DUAL_8259 = 1


def windows_spec(
    image: WindowsImage,
    *,
    machine: MachineType = MachineType.Q35,
    vcpus: int = 2,
    memory_mib: int = MEMORY_MIB,
    name: str = "",
    uuid: str | None = None,
    root: Path | None = None,
) -> MachineSpec:
    """Return a machine that boots Windows with a console on COM1, told of by an SPCR table.

    The user's file is never written: what the guest writes goes to an overlay that ends with QEMU, which
    keeps it in TMPDIR (/var/tmp). Firmware and TPM are the image's.

    Args:
        image: what was registered.
        machine: pc or q35.
        vcpus: 1 to 4.
        memory_mib: MiB.
        name: the machine's; default the image's.
        uuid: the machine's, which SAC shows; none shows zeros.
        root: where the table is kept; default the registry's directory.

    Raises:
        SpecError: there is no such machine.
        FileError: the table can't be written.
    """
    if machine is MachineType.MICROVM:
        raise SpecError("machine is microvm; allowed: pc q35 for Windows, which needs ACPI and PCI")
    disks: tuple[Disk, ...] = ()
    if image.disk_format is not None:
        disks = (windows_disk(image.path, DiskFormat(image.disk_format), discard_writes=True),)
    return MachineSpec(
        name=name or image.name,
        machine=machine,
        firmware=Firmware(image.firmware),
        vcpus=vcpus,
        memory_mib=memory_mib,
        disks=disks,
        smbios=() if uuid is None else (("uuid", uuid),),
        windows=WindowsParts(
            cdroms=(image.path,) if image.level is Level.ISO else (),
            acpi_tables=(ensure_spcr(root or WindowsRegistry().root),),
            tpm=image.tpm,
        ),
    )


def windows_disk(path: Path, disk_format: DiskFormat, *, discard_writes: bool = False) -> Disk:
    """Return a disk on the bus that Windows has a driver for."""
    return Disk(path=path, format=disk_format, bus=DiskBus.SATA, discard_writes=discard_writes)


def ensure_spcr(directory: Path) -> Path:
    """Return a file with the SPCR table, written on first use: its name has its digest.

    Raises:
        FileError: it can't be written.
    """
    table = spcr_table()
    path = directory.absolute() / f"spcr-{hashlib.sha256(table).hexdigest()[:16]}.bin"
    if not path.exists():
        write_whole(path, table, private=True, parents=True)
    return path


def spcr_table() -> bytes:
    """Return the table for COM1: I/O port 0x3f8, IRQ 4, 115200 8N1, VT-UTF8.

    The layout is Microsoft's "Serial Port Console Redirection Table", revision 2, 80 bytes.
    """
    address = (_IO_SPACE, 8, 0, _BYTE_ACCESS, _COM1)
    line = (_BAUD_115200, 0, 1, 0, _VT_UTF8)  # no parity, one stop bit, no flow control
    no_pci = (0xFFFF, 0xFFFF, 0, 0, 0, 0, 0)
    body = struct.pack(_BODY, 0, *address, _DUAL_8259, _IRQ, 0, *line, *no_pci)
    header = struct.pack(_HEADER, b"SPCR", LENGTH, _REVISION, 0, b"TTYLAB", b"TTYLABSC", 1, b"TTYL", 1)
    table = bytearray(header + body)
    table[9] = -sum(table) & 0xFF
    return bytes(table)
