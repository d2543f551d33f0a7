"""A guest's RAM, packed: its pages that are neither zero nor those of another snapshot of the same image.

A packed file is a head, and one zstd frame: for each page of RAM the number of its content, 4 bytes each, and
the contents that the base lacks. 0 is a page of zeros; the base's contents are counted first, then the own.
"""

from __future__ import annotations

import ctypes
import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import zstandard

from emulator.errors import SnapshotError
from emulator.files import identity, open_whole
from emulator.snapshots.files import data_pieces

PAGE = 4096
PAGES_FILE = "ram.pages"
"""A snapshot's packed RAM."""
_HEAD = struct.Struct("<8s32sQ")  # what it is, the base's key, the size of RAM
_MAGIC = b"ttylabP1"
_LEVEL = 3  # 1 takes half the time and 10 % more room
_PUNCH_HOLE = 0x03  # fallocate(2): FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """RAM of `size` bytes: the number of each page's content, and the contents, the base's first."""

    size: int
    numbers: array[int]
    pages: bytes


def base_of(path: Path) -> str:
    """Return the key of the snapshot that a packed file rests on, empty if on none; raises SnapshotError."""
    try:
        with path.open("rb") as file:
            magic, key, _ = _HEAD.unpack(file.read(_HEAD.size))
    except (OSError, struct.error) as error:
        raise SnapshotError(f"{path}: no packed RAM: {error}") from error
    if magic != _MAGIC:
        raise SnapshotError(f"{path}: no packed RAM")
    return str(key.rstrip(b"\0"), "ascii", "replace")


def pack_ram(ram: Path, target: Path, *, base: Path | None) -> None:
    """Write the packed RAM of the file `ram` to `target`, and make its pages of zeros holes.

    The `base` is another snapshot's packed file, two directories from `target`, that rests on none itself.

    Raises:
        SnapshotError: the base is damaged.
        OSError, FileError: a file can't be read or written.
    """
    known = b"" if base is None else _remembered(base, identity(base)).pages
    numbers_of = {known[at : at + PAGE]: at // PAGE + 1 for at in range(0, len(known), PAGE)}
    numbers_of[bytes(PAGE)] = 0
    count = len(known) // PAGE + 1
    own: list[bytes] = []
    with ram.open("r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        numbers = array("I", bytes(4 * -(-size // PAGE)))
        for at, data in data_pieces(file.fileno(), size):
            for start in range(0, len(data), PAGE):
                page = data[start : start + PAGE].ljust(PAGE, b"\0")
                number = numbers_of.setdefault(page, count + len(own))
                numbers[(at + start) // PAGE] = number
                if number == count + len(own):
                    own.append(page)
        fallocate = ctypes.CDLL(None).fallocate  # a file system without holes keeps the blocks
        for first, number, length in _runs(numbers):
            if not number:
                place = (ctypes.c_int64(first * PAGE), ctypes.c_int64(length * PAGE))
                fallocate(file.fileno(), _PUNCH_HOLE, *place)
    packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    name = b"" if base is None else base.parent.name.encode("ascii")
    with open_whole(target, private=True) as made:
        made.write(_HEAD.pack(_MAGIC, name, size))
        made.write(packed.compress(b"".join((numbers.tobytes(), *own))))


def unpack_ram(packed: Path, ram: Path) -> None:
    """Write packed RAM to the file `ram`, which appears whole, with holes for zeros.

    Raises SnapshotError for packed files that are missing or damaged, FileError if it can't be written.
    """
    found = _read(packed)
    contents = memoryview(found.pages)
    with open_whole(ram, private=True) as file:
        for at, number, count in _runs(found.numbers):
            if number:
                file.seek(at * PAGE)
                file.write(contents[(number - 1) * PAGE : (number - 1 + count) * PAGE])
        file.truncate(found.size)


def _read(path: Path) -> _Packed:
    key = base_of(path)
    base = path.parents[1] / key / PAGES_FILE
    known = _remembered(base, identity(base)).pages if key else b""
    try:
        data = path.read_bytes()
        plain = zstandard.ZstdDecompressor().decompress(memoryview(data)[_HEAD.size :])
    except (OSError, MemoryError, zstandard.ZstdError) as error:
        raise SnapshotError(f"{path}: damaged: {error}") from error
    size = _HEAD.unpack_from(data)[2]
    length = 4 * -(-size // PAGE)
    numbers, pages = array("I", plain[:length]), known + plain[length:]
    if len(plain) < length or max(numbers, default=0) * PAGE > len(pages):
        raise SnapshotError(f"{path}: damaged: {len(pages)} bytes of pages")
    return _Packed(size=size, numbers=numbers, pages=pages)


@lru_cache(maxsize=1)
def _remembered(base: Path, _identity: tuple[int, ...]) -> _Packed:
    return _read(base)


def _runs(numbers: array[int]) -> Iterator[tuple[int, int, int]]:
    """Yield runs of pages whose contents follow each other: first page, its number, how many there are."""
    start = 0
    while start < len(numbers):
        end, first = start + 1, numbers[start]
        step = 1 if first else 0
        while end < len(numbers) and numbers[end] == first + step * (end - start):
            end += 1
        yield start, first, end - start
        start = end
