"""Copies of disks in a format that QEMU can save with a machine: of VHD, VHDX and VMDK it can't.

QEMU 7.2 refuses to migrate them ("The vpc format … does not support live migration"), so no snapshot of their
guests could be kept. A fixed VHD needs no copy: it is a raw disk with a footer behind it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from emulator import places
from emulator.disks.formats import DiskFormat, fixed_vhd_size
from emulator.disks.qemu_img import convert_disk
from emulator.files import hold_lock, make_missing, scratch_beside
from emulator.guest_text.printable import visible
from emulator.work import working

SAVABLE = frozenset({DiskFormat.RAW, DiskFormat.QCOW2})
"""Formats that QEMU can save a machine with."""
CONVERTED_MOST = 16 << 30
"""Bytes of the largest file that is converted."""
_SPARE = 1 << 30  # bytes that a conversion leaves free on the cache's disk
_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFile:
    """What a machine is given of a disk; `size` is how many bytes the guest sees of a raw file, None: all."""

    path: Path
    format: DiskFormat
    size: int | None = None


def savable_file(path: Path, disk_format: DiskFormat, *, digest: str, build: bool) -> DiskFile:
    """Return what to boot of a user's disk so that its machine can be saved; the disk itself if nothing can.

    A copy is found again by the `digest` of the disk's content; `build` makes one if there is none yet, which
    is told as work (`emulator.work`).

    Raises:
        ImageError: qemu-img can't read it.
        MissingPrerequisite: qemu-img is not installed.
        FileError, LockHeld: the copy can't be written.
        OSError: the disk can't be read.
    """
    if disk_format in SAVABLE:
        return DiskFile(path=path, format=disk_format)
    if disk_format is DiskFormat.VHD and (size := fixed_vhd_size(path)) is not None:
        return DiskFile(path=path, format=DiskFormat.RAW, size=size)
    copy = places.own_files() / digest[:16] / "disk.qcow2"
    if not copy.is_file():
        if not build or not _has_room(path, copy):
            return DiskFile(path=path, format=disk_format)
        with hold_lock(copy.with_suffix(".lock"), wait_s=_WAIT_S):
            if not copy.is_file():
                _convert(path, disk_format, copy)
    return DiskFile(path=copy, format=DiskFormat.QCOW2)


def _has_room(path: Path, copy: Path) -> bool:
    make_missing(copy.parent)
    size = path.stat().st_size
    return size <= CONVERTED_MOST and shutil.disk_usage(copy.parent).free > size + _SPARE


def _convert(path: Path, disk_format: DiskFormat, copy: Path) -> None:
    size = path.stat().st_size
    what = f"disk {visible(path.name)} ({size / 1e6:,.0f} MB)"
    with working(what, "copying to qcow2, which can be forked"), scratch_beside(copy) as scratch:
        made = scratch / copy.name
        convert_disk(path, made, disk_format=disk_format, bound_s=120.0 + size / 2e6)
        made.replace(copy)
