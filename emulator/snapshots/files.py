"""A snapshot's files: their sizes and hashes, when they were checked, and its disks and its forks'."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from emulator.clock import utc_now
from emulator.disks.formats import DiskFormat
from emulator.disks.qemu_img import create_overlay
from emulator.errors import FileError, ImageError, SnapshotError, SpecError
from emulator.files import identity, read_whole, require_regular, write_json
from emulator.machine.process import boot_id
from emulator.machine.spec import Disk, MachineSpec
from emulator.snapshots.manifest import FileFacts
from emulator.values import json_ready, load_json

_PIECE = 1 << 20


def read_facts(path: Path) -> FileFacts:
    """Return the facts of a file's present content; holes are hashed as holes and not read. Raises OSError.

    The hash covers the data and their positions: 86 MB of data in a file of 256 MB take 0.09 s.
    """
    require_regular(path)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(b"%d\n" % size)
        for start, data in data_pieces(file.fileno(), size):
            if data.strip(b"\0"):  # zeros may be data or a hole, as the file system likes
                digest.update(b"%d %d\n" % (start, len(data)))
                digest.update(data)
    return FileFacts(size=size, sha256=digest.hexdigest())


def remembered_facts(path: Path) -> FileFacts:
    """Return a file's facts, read again if inode, size or time of change differ; raises OSError."""
    return _facts_of(path, identity(path))


@lru_cache(maxsize=256)
def _facts_of(path: Path, _identity: tuple[int, ...]) -> FileFacts:
    return read_facts(path)


def data_pieces(fd: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the pieces that contain data, each beginning at a multiple of the piece size."""
    for start, end in _extents(fd, size):
        for position in range(start, end, _PIECE):
            yield position, os.pread(fd, _PIECE, position)


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of data, both rounded outwards to multiples of the piece size."""
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
MANIFEST_MOST = 1 << 20
"""Bytes of the note and of the manifest; real ones have some 2 KB."""
TRUSTED_S = 3600.0
"""How long a check is relied on, in seconds: it notices writes to a file, but not a decaying disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    host_boot: str  # files that were intact in the page cache may be cut off after a crash of the host
    at: float
    files: Mapping[str, tuple[int, ...]]


def note_check(directory: Path, identities: Mapping[str, tuple[int, ...]]) -> None:
    """Note that the files of the snapshot in `directory`, as `identities` has them, were read and are intact.

    If the note can't be written, the next process reads the files itself.
    """
    note = _Note(host_boot=boot_id(), at=utc_now().timestamp(), files=dict(identities))
    with suppress(FileError):
        write_json(directory / NOTE, json_ready(note))


def was_checked(directory: Path, identities: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether these files were found intact during this boot of the host, in the last `TRUSTED_S`."""
    try:
        note = load_json(read_whole(directory / NOTE, most=MANIFEST_MOST), _Note, origin=NOTE)
    except (OSError, SpecError):
        return False
    age_s = utc_now().timestamp() - note.at
    return note.host_boot == boot_id() and 0 <= age_s < TRUSTED_S and note.files == dict(identities)


def disk_names(spec: MachineSpec, *, plain: bool) -> tuple[str, ...]:
    """Return the names of the files that hold what a snapshot's guest wrote to its disks."""
    return tuple(_name(index, plain=plain) for index, disk in enumerate(spec.disks) if not disk.read_only)


def prepare_disks(spec: MachineSpec, directory: Path, *, plain: bool) -> MachineSpec:
    """Return `spec` with disks in `directory` to write to, plain copies or overlays; raises SnapshotError."""
    make = _copy if plain else _overlay
    return _with_disks(spec, lambda index, disk: make(disk, directory / _name(index, plain=plain)))


def fork_disks(spec: MachineSpec, directory: Path, own: Path | None) -> MachineSpec:
    """Return `spec` with the disks of the snapshot in `directory`, which are not changed.

    For the host to read, each is copied to `own` (SnapshotError: it can't be); otherwise the guest gets a
    view that its QEMU drops.
    """

    def fork(index: int, disk: Disk) -> Disk:
        if own is not None:
            saved = replace(disk, path=directory / _name(index, plain=True))
            return _copy(saved, own / f"disk{index}.img")
        path = directory / _name(index, plain=False)
        return replace(disk, path=path, format=DiskFormat.QCOW2, discard_writes=True, size=None)

    return _with_disks(spec, fork)


def _with_disks(spec: MachineSpec, change: Callable[[int, Disk], Disk]) -> MachineSpec:
    disks = (disk if disk.read_only else change(index, disk) for index, disk in enumerate(spec.disks))
    return replace(spec, disks=tuple(disks))


def _name(index: int, *, plain: bool) -> str:
    return f"disk{index}.{'raw' if plain else 'qcow2'}"


def _copy(disk: Disk, path: Path) -> Disk:
    try:
        shutil.copyfile(disk.path, path)
    except OSError as error:
        raise SnapshotError(f"{path}: can't copy the disk: {error.strerror}") from error
    return replace(disk, path=path, discard_writes=False)


def _overlay(disk: Disk, path: Path) -> Disk:
    try:
        create_overlay(path, disk.path, disk_format=disk.format, size=disk.size)
    except ImageError as error:
        raise SnapshotError(f"{path}: qemu-img made no overlay: {error}") from error
    return replace(disk, path=path, format=DiskFormat.QCOW2, discard_writes=False, size=None)
