"""Sizes and hashes of files, some of them sparse; remembered as long as a file stays what it is."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from emulator.clock import utc_now
from emulator.errors import FileError, SpecError
from emulator.files import write_json
from emulator.machine.process import boot_id
from emulator.snapshots.manifest import FileFacts
from emulator.values import json_ready, load_json

_PIECE = 1 << 20


def read_facts(path: Path) -> FileFacts:
    """Return the facts of a file's present content; holes count as such and are not read.

    The hash covers where data lie and what they are: of 86 MB in a file of 256 it takes 0.09 s.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(b"%d\n" % size)
        for start, data in _pieces(file.fileno(), size):
            if data.strip(b"\0"):  # whether zeros are written or a hole is the file system's affair
                digest.update(b"%d %d\n" % (start, len(data)))
                digest.update(data)
    return FileFacts(size=size, sha256=digest.hexdigest())


def remembered_facts(path: Path) -> FileFacts:
    """Return the facts of a file, read anew only if its inode, size or time of change differ.

    Raises:
        OSError: the file can't be read.
    """
    return _facts_of(path, identity(path))


def identity(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written or replaced; empty if it is not there."""
    try:
        now = path.stat()
    except OSError:
        return ()
    return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@lru_cache(maxsize=256)
def _facts_of(path: Path, _identity: tuple[int, ...]) -> FileFacts:
    return read_facts(path)


def _pieces(fd: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the pieces in which data lie, each beginning at a multiple of its size."""
    for start, end in _extents(fd, size):
        for position in range(start, end, _PIECE):
            yield position, os.pread(fd, _PIECE, position)


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where data lie, from multiples of a piece on."""
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return  # a hole up to the end
        end = os.lseek(fd, start, os.SEEK_HOLE)
        end += -end % _PIECE
        yield max(position, start - start % _PIECE), end
        position = end


NOTE = "checked.json"
TRUSTED_S = 3600.0
"""How long a check is relied on: it sees what was written to a file, and not what decays under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    host_boot: str  # files that were whole in the page cache may be cut after a crash of the host
    at: float
    files: Mapping[str, tuple[int, ...]]


def note_check(directory: Path, identities: Mapping[str, tuple[int, ...]]) -> None:
    """Note that the files of the snapshot in `directory` were read and found whole as `identities` has them.

    A note that can't be written is none: the next process reads the files itself.
    """
    note = _Note(host_boot=boot_id(), at=utc_now().timestamp(), files=dict(identities))
    with suppress(FileError):
        write_json(directory / NOTE, json_ready(note))


def was_checked(directory: Path, identities: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether these very files were found whole on this boot of the host, in the last `TRUSTED_S`."""
    try:
        note = load_json((directory / NOTE).read_bytes(), _Note, origin=NOTE)
    except (OSError, SpecError):
        return False
    age_s = utc_now().timestamp() - note.at
    return note.host_boot == boot_id() and 0 <= age_s < TRUSTED_S and note.files == dict(identities)
