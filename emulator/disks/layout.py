"""What the start of a disk, as its guest sees it, tells of how it boots; pure."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

from emulator.errors import SpecError

_SECTOR = 512
_BASIC_DATA = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
_RESERVED = uuid.UUID("e3c9e316-0b5c-4db8-817d-f92df00215ae")
_EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
_NTFS, _EFI, _PROTECTIVE = 0x07, 0xEF, 0xEE
_NEVER_FAT = frozenset({0x00, 0x05, 0x0F, 0x82, 0x83, 0x85, 0x8E, 0xFD})
"""Types of MBR partitions from which no UEFI starts: none, extended ones, and those of Linux."""
_BACKUP = 33
"""Sectors of the second table, before its header; who misses only them still boots."""
_ENTRIES_MOST = 128
_CODE = 440
"""Bytes of a first sector that a BIOS starts; a disk for UEFI alone has none there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLayout:
    """Whether a disk has what a BIOS starts, a partition for UEFI, and the partitions that Windows makes."""

    bios: bool
    uefi: bool
    maybe_windows: bool

    @property
    def firmware(self) -> str:
        """What it is likely to boot under: "seabios", which is faster, where both would do."""
        return "seabios" if self.bios else "ovmf"


def read_layout(head: bytes, *, origin: str) -> DiskLayout:
    """Return what a disk's first MiB tells about it; raises SpecError if nothing boots from it."""
    if head[510:512] != b"\x55\xaa":
        raise SpecError(f"{origin}: not a bootable disk: its first sector has no boot signature")
    kinds = {head[446 + 16 * number + 4] for number in range(4)}
    if _PROTECTIVE in kinds and head[_SECTOR : _SECTOR + 8] == b"EFI PART":
        types = _gpt_types(head)
        return DiskLayout(
            bios=_BIOS_BOOT in types,
            uefi=_EFI_SYSTEM in types or _BIOS_BOOT not in types,
            maybe_windows=_BASIC_DATA in types and bool(types & {_RESERVED, _EFI_SYSTEM}),
        )
    bios = any(head[:_CODE]) or _EFI not in kinds
    return DiskLayout(bios=bios, uefi=_EFI in kinds, maybe_windows=_NTFS in kinds)


def has_loader(head: bytes) -> bool:
    """Tell whether anything could start from a disk that begins so: code for a BIOS, or a FAT for UEFI."""
    kinds = {head[446 + 16 * number + 4] for number in range(4)}
    if _PROTECTIVE in kinds:
        return any(head[:_CODE]) or bool(_gpt_types(head) & {_EFI_SYSTEM, _BASIC_DATA})
    return any(head[:_CODE]) or not kinds <= _NEVER_FAT


def last_byte(head: bytes) -> int:
    """Return how many bytes a disk has at least by its partition tables, its first two sectors; 0 without."""
    if head[510:512] != b"\x55\xaa" or len(head) < 2 * _SECTOR:
        return 0
    parts = [struct.unpack_from("<4xB3xII", head, 446 + 16 * number) for number in range(4)]
    if any(kind == _PROTECTIVE for kind, _, _ in parts):
        (alternate,) = struct.unpack_from("<Q", head, _SECTOR + 32)
        return max(0, alternate - _BACKUP) * _SECTOR if head[_SECTOR:].startswith(b"EFI PART") else 0
    return max((start + size for kind, start, size in parts if kind), default=0) * _SECTOR


def esp_start(head: bytes) -> int | None:
    """Return at which byte of a disk, by its first MiB, UEFI's partition begins; None if there is none."""
    for place in _gpt_entries(head):
        if uuid.UUID(bytes_le=head[place : place + 16]) == _EFI_SYSTEM:
            return int.from_bytes(head[place + 32 : place + 40], "little") * _SECTOR
    for place in range(446, 510, 16):
        if head[place + 4 : place + 5] == bytes([_EFI]):
            return int.from_bytes(head[place + 8 : place + 12], "little") * _SECTOR
    return None


def _gpt_types(head: bytes) -> frozenset[uuid.UUID]:
    return frozenset(uuid.UUID(bytes_le=head[place : place + 16]) for place in _gpt_entries(head))


def _gpt_entries(head: bytes) -> list[int]:
    """Return where the entries of the partitions are that there are."""
    if head[_SECTOR : _SECTOR + 8] != b"EFI PART":
        return []
    start, count, size = struct.unpack_from("<QII", head, _SECTOR + 72)
    if size < 128:
        return []
    places = [start * _SECTOR + number * size for number in range(min(count, _ENTRIES_MOST))]
    return [place for place in places if any(head[place : place + 16]) and len(head) >= place + size]
