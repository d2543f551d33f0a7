"""What boots GRUB from outside a disk's file systems: partition table, boot.img, core.img. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from emulator.errors import ImageError, SpecError

SECTOR = 512
BIOS_BOOT = UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")

_ENTRIES = 128
_ENTRY_SIZE = 128
_TABLE_SECTORS = _ENTRIES * _ENTRY_SIZE // SECTOR
HEAD_SECTORS = 2 + _TABLE_SECTORS
"""Protective MBR, header and table at the start; at the end the table and header again, in this order."""
TAIL_SECTORS = HEAD_SECTORS - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition.

    Attributes:
        kind: what it is for: `BIOS_BOOT`, `EFI_SYSTEM`.
        guid: its unique id.
        label: its name for people.
        first, last: first and last sector, inclusive.
    """

    kind: UUID
    guid: UUID
    label: str
    first: int
    last: int


def write_table(
    partitions: Sequence[Partition], *, sectors: int, guid: UUID, boot_sector: bytes
) -> tuple[bytes, bytes]:
    """Return the first `HEAD_SECTORS` and the last `TAIL_SECTORS` of a disk (UEFI 2.10, 5.2 and 5.3).

    Args:
        partitions: in the order of their numbers.
        sectors: size of the disk.
        guid: the disk's unique id.
        boot_sector: what the BIOS starts; its first 440 bytes are kept.

    Raises:
        SpecError: a partition lies outside the disk, or overlaps another one.
    """
    _check(partitions, sectors)
    table = b"".join(_entry(each) for each in partitions).ljust(_ENTRIES * _ENTRY_SIZE, b"\0")
    first = _header(1, sectors - 1, table, sectors=sectors, guid=guid)
    second = _header(sectors - 1, 1, table, sectors=sectors, guid=guid)
    return _protective(boot_sector, sectors) + first + table, table + second


def _check(partitions: Sequence[Partition], sectors: int) -> None:
    free = HEAD_SECTORS
    for each in sorted(partitions, key=lambda one: one.first):
        if not free <= each.first <= each.last < sectors - TAIL_SECTORS:
            raise SpecError(
                f"partition {each.label!r} has sectors {each.first} to {each.last}; "
                f"free: {free} to {sectors - TAIL_SECTORS - 1}"
            )
        free = each.last + 1


def _entry(partition: Partition) -> bytes:
    span = struct.pack("<QQQ", partition.first, partition.last, 0)
    label = partition.label.encode("utf-16-le").ljust(72, b"\0")
    return partition.kind.bytes_le + partition.guid.bytes_le + span + label


def _header(here: int, other: int, table: bytes, *, sectors: int, guid: UUID) -> bytes:
    table_at = 2 if here == 1 else sectors - TAIL_SECTORS
    last_usable = sectors - TAIL_SECTORS - 1
    rest = struct.pack("<IQQQQ", 0, here, other, HEAD_SECTORS, last_usable) + guid.bytes_le
    rest += struct.pack("<QIII", table_at, _ENTRIES, _ENTRY_SIZE, zlib.crc32(table))
    start = struct.pack("<8sII", b"EFI PART", 0x10000, 92)
    checksum = zlib.crc32(start + bytes(4) + rest)
    return (start + struct.pack("<I", checksum) + rest).ljust(SECTOR, b"\0")


def _protective(boot_sector: bytes, sectors: int) -> bytes:
    code = boot_sector[:440].ljust(446, b"\0")
    whole = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    return code + whole + bytes(48) + b"\x55\xaa"


_CORE_SECTOR_AT = 0x5C
_DRIVE_CHECK_AT = 0x66
_DRIVE_CHECK = b"\xeb\x05"
_LAST_BLOCK_LIST_AT = SECTOR - 12
_CORE_SEGMENT = 0x820


def place_boot_sector(boot_image: bytes, *, core_sector: int) -> bytes:
    """Return boot.img patched to load a sector of the disk that it is started from; raises ImageError."""
    if len(boot_image) != SECTOR or boot_image[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + 2] != _DRIVE_CHECK:
        raise ImageError("GRUB's boot.img is not laid out as that of 2.06")
    placed = bytearray(boot_image)
    struct.pack_into("<Q", placed, _CORE_SECTOR_AT, core_sector)
    # On hard disks grub-install enables the check of the BIOS drive number by writing two NOPs over a jump.
    placed[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + 2] = b"\x90\x90"
    return bytes(placed)


def place_core(core: bytes, *, sector: int, room: int) -> bytes:
    """Return core.img patched so that its first sector, loaded from `sector`, loads the rest after it.

    Raises ImageError if it takes more than `room` sectors, or is not one that this module knows.
    """
    _, rest, segment = struct.unpack_from("<QHH", core.ljust(SECTOR, b"\0"), _LAST_BLOCK_LIST_AT)
    sectors = -(-len(core) // SECTOR)
    if (rest, segment) != (sectors - 1, _CORE_SEGMENT):
        raise ImageError("GRUB's core.img is not laid out as that of 2.06")
    if sectors > room:
        raise ImageError(f"GRUB's core.img takes {sectors} sectors, there are {room}")
    placed = bytearray(core)
    struct.pack_into("<Q", placed, _LAST_BLOCK_LIST_AT, sector + 1)
    return bytes(placed)
