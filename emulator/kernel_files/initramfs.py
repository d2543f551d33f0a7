"""Reads initramfs files: which kernels they have modules for. Pure.

A file is a row of cpio archives ("newc"), each plain or packed (Documentation/driver-api/early-userspace/
buffer-format.rst); microcode comes in a plain one before the packed rest.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress

from emulator.errors import ImageError
from emulator.kernel_files.vmlinux import decompress

_MAGICS = (b"070701", b"070702")
_HEADER = re.compile(
    rb"07070[12][0-9A-Fa-f]{8}([0-9A-Fa-f]{8})[0-9A-Fa-f]{32}([0-9A-Fa-f]{8})[0-9A-Fa-f]{32}"
    rb"([0-9A-Fa-f]{8})[0-9A-Fa-f]{8}"
)
"""Of an entry; its groups are mode, size of the file, and size of the name with its NUL."""
_RELEASE = re.compile(rb"(?:\./|/)?(?:usr/)?lib/modules/([^/\0]{1,64})(?:/|\Z)")
_FULL = re.compile(rb"[^\0]")
_MOST = 2 << 30  # bytes that are unpacked at most; what is behind them is not looked at


def kernel_releases(content: bytes) -> frozenset[str]:
    """Return the releases of the kernels that an initramfs has modules for, as `uname -r` says them.

    Empty if it has none in lib/modules/RELEASE, or if something in it can't be read: then it may fit.
    """
    found = set[str]()
    for archive in _archives(content):
        for name, is_directory, _ in _entries(archive, 0):
            match = _RELEASE.match(name)
            if match is not None and (is_directory or match.end() < len(name)):
                found.add(match[1].decode("utf-8", "backslashreplace"))
    return frozenset(found)


def _archives(content: bytes) -> Iterator[bytes]:
    """Yield each cpio archive, unpacked; what is of no known form ends it."""
    position, size = 0, len(content)
    while position < size:
        if content[position] == 0:  # padding between archives
            found = _FULL.search(content, position)
            position = size if found is None else found.start()
        elif content.startswith(_MAGICS, position):
            end = _end_of_archive(content, position)
            yield content[position:end]
            position = end
        else:
            with suppress(ImageError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                yield _unpack(content[position:])
            return  # what is behind a packed archive is rare, and no kernel's modules


def _unpack(packed: bytes) -> bytes:
    if packed.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(packed, _MOST)
    if packed.startswith(b"\x5d\0\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(packed, _MOST)
    return decompress(packed)


def _end_of_archive(content: bytes, start: int) -> int:
    position = start
    for name, _, end in _entries(content, start):
        position = end
        if name == b"TRAILER!!!":
            break
    return max(position, start + 1)


def _entries(content: bytes, start: int) -> Iterator[tuple[bytes, bool, int]]:
    """Yield each entry's name, whether it is a directory, and where the next begins; damage ends it."""
    position = start
    while (header := _HEADER.match(content, position)) is not None:
        mode, size, length = (int(field, 16) for field in header.groups())
        data = (header.end() + length + 3) & ~3
        name = content[header.end() : header.end() + length - 1]
        position = (data + size + 3) & ~3
        yield name, mode & 0o170000 == 0o040000, position
