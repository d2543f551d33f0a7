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
_ENTRIES_MOST = 128
_CODE = 440
"""Bytes of a first sector that a BIOS starts; a disk for UEFI alone has none there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLayout:
    """What the start of a disk tells about it.

    Attributes:
        bios: whether it has what a BIOS starts.
        uefi: whether it has a partition that UEFI starts from.
        maybe_windows: whether it has the partitions that Windows makes.
    """

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
    first = start * _SECTOR
    places = [first + number * size for number in range(min(count, _ENTRIES_MOST))]
    return [place for place in places if any(head[place : place + 16]) and len(head) >= place + size]
