"""Files as users bring them: the smallest that are taken for a kernel and for disks; none boots."""

import struct
from pathlib import Path

from tests.support.disk_heads import EFI, gpt, mbr

_LINUX = 0x83


def tiny_kernel(path: Path, *, release: str = "6.6.6-own", is_64: bool = True) -> Path:
    """Write what `identify` takes for a whole bzImage."""
    image = bytearray(0x1000)
    image[0x1F1] = 1
    image[0x1F4:0x1F8] = struct.pack("<I", 0x10)
    image[0x202:0x208] = b"HdrS" + struct.pack("<H", 0x20F)
    image[0x20E:0x210] = struct.pack("<H", 0x300 - 0x200)
    text = release.encode() + b" (x@y) #1\0"
    image[0x300 : 0x300 + len(text)] = text
    image[0x236] = int(is_64)
    path.write_bytes(image)
    return path


def bios_disk(path: Path) -> Path:
    """Write a raw disk that a BIOS starts."""
    head = mbr(_LINUX)
    head[:2] = b"\xeb\xfe"
    path.write_bytes(head)
    return path


def uefi_disk(path: Path) -> Path:
    """Write a raw disk that only UEFI starts."""
    path.write_bytes(gpt(EFI))
    return path
