"""Tells GRUB's BIOS parts where they lie on a disk, as grub-install does. Pure.

Source: spec/qemu.md 6; GRUB 2.06, grub-core/boot/i386/pc/{boot,diskboot}.S and util/setup.c.
"""

from __future__ import annotations

import struct

from emulator.errors import ImageError

_SECTOR = 512
_CORE_SECTOR_AT = 0x5C
_DRIVE_CHECK_AT = 0x66
_DRIVE_CHECK = b"\xeb\x05"
_LAST_BLOCK_LIST_AT = _SECTOR - 12
_CORE_SEGMENT = 0x820


def place_boot_sector(boot_image: bytes, *, core_sector: int) -> bytes:
    """Return boot.img so that it loads the sector `core_sector` of the disk that it was started from.

    Raises:
        ImageError: it is no boot.img that this module knows.
    """
    if len(boot_image) != _SECTOR or boot_image[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + 2] != _DRIVE_CHECK:
        raise ImageError("GRUB's boot.img is not laid out as that of 2.06")
    placed = bytearray(boot_image)
    struct.pack_into("<Q", placed, _CORE_SECTOR_AT, core_sector)
    # On hard disks grub-install lets the check of the BIOS' drive number run, by two NOPs over a jump.
    placed[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + 2] = b"\x90\x90"
    return bytes(placed)


def place_core(core: bytes, *, sector: int, room: int) -> bytes:
    """Return core.img so that its first sector, loaded from `sector`, loads the rest from behind it.

    Args:
        core: what grub-mkimage made for i386-pc.
        sector: where it lies on the disk.
        room: sectors that there are for it.

    Raises:
        ImageError: it is too big, or no core.img that this module knows.
    """
    _, rest, segment = struct.unpack_from("<QHH", core.ljust(_SECTOR, b"\0"), _LAST_BLOCK_LIST_AT)
    sectors = -(-len(core) // _SECTOR)
    if (rest, segment) != (sectors - 1, _CORE_SEGMENT):
        raise ImageError("GRUB's core.img is not laid out as that of 2.06")
    if sectors > room:
        raise ImageError(f"GRUB's core.img takes {sectors} sectors, there are {room}")
    placed = bytearray(core)
    struct.pack_into("<Q", placed, _LAST_BLOCK_LIST_AT, sector + 1)
    return bytes(placed)
