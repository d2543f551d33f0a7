"""The first MiB of disks: partition tables, and nothing else."""

import struct
import uuid

from emulator.disks.qemu_img import HEAD_BYTES

BASIC, RESERVED, EFI = (
    uuid.UUID(one)
    for one in (
        "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    )
)
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")


def mbr(*kinds):
    head = bytearray(HEAD_BYTES)
    for number, kind in enumerate(kinds):
        head[446 + 16 * number + 4] = kind
    head[510:512] = b"\x55\xaa"
    return head


def gpt(*types, size=128):
    head = mbr(0xEE)
    struct.pack_into("<8s", head, 512, b"EFI PART")
    struct.pack_into("<QII", head, 512 + 72, 2, 128, size)
    for number, kind in enumerate(types):
        place = 1024 + 128 * number
        head[place : place + 16] = kind.bytes_le
    return head
