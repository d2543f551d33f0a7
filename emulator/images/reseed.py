"""A program of 200 bytes that makes a kernel seed its random numbers anew: no shell can do an ioctl. Pure.

A guest that is forked from a saved state has the same random numbers as every other fork until its kernel
reseeds, which takes minutes (drivers/char/random.c, CRNG_RESEED_INTERVAL). Linux 5.18 and newer do it at once
where a vmgenid device tells of the fork; for the others there is RNDRESEEDCRNG (random(4), Linux 4.14).
"""

from __future__ import annotations

import struct

_BASE = 0x400000
_HEADERS = 64 + 56
_PATH = b"/dev/urandom\0"
_CODE = b"".join(
    (
        bytes.fromhex("b802000000"),  # mov eax, 2: open
        bytes.fromhex("488d3d22000000"),  # lea rdi, [rip + 34]: the path, behind the code
        bytes.fromhex("be01000000"),  # mov esi, O_WRONLY
        bytes.fromhex("0f05"),  # syscall
        bytes.fromhex("89c7"),  # mov edi, eax: the descriptor, or a negative errno, which ioctl refuses
        bytes.fromhex("be07520000"),  # mov esi, RNDRESEEDCRNG
        bytes.fromhex("31d2"),  # xor edx, edx
        bytes.fromhex("b810000000"),  # mov eax, 16: ioctl
        bytes.fromhex("0f05"),  # syscall
        bytes.fromhex("f7d8"),  # neg eax: 0, or the errno
        bytes.fromhex("89c7"),  # mov edi, eax
        bytes.fromhex("b83c000000"),  # mov eax, 60: exit
        bytes.fromhex("0f05"),  # syscall
    )
)


def make_reseed_program() -> bytes:
    """Return the program: a static x86-64 ELF that exits with 0, or with the errno of what failed."""
    body = _CODE + _PATH
    size = _HEADERS + len(body)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        2,  # ET_EXEC
        62,  # EM_X86_64
        1,
        _BASE + _HEADERS,
        64,  # the program header follows
        0,
        0,
        64,
        56,
        1,
        64,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # PT_LOAD, read and execute
    return header + segment + body
