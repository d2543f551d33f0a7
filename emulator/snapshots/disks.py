"""Disks of a snapshot: what the guest wrote by then, and what each fork writes to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import MissingPrerequisite, SnapshotError
from emulator.machine.process import run_bounded
from emulator.machine.spec import Disk, DiskFormat, MachineSpec

_PROGRAM = "qemu-img"
_BOUND_S = 30.0


def disk_names(spec: MachineSpec, *, plain: bool) -> tuple[str, ...]:
    """Return the names of the files that hold what a snapshot's guest wrote to its disks."""
    kind = "raw" if plain else "qcow2"
    return tuple(f"disk{index}.{kind}" for index, disk in enumerate(spec.disks) if not disk.read_only)


def prepare_disks(spec: MachineSpec, directory: Path, *, plain: bool) -> MachineSpec:
    """Return `spec` with disks in `directory` that the guest may write to: overlays, or copies.

    Raises:
        SnapshotError: a file can't be made.
        MissingPrerequisite: qemu-img is not installed.
    """
    make = _copy if plain else _overlay
    return _with_disks(spec, lambda index, disk: make(disk, directory / _name(index, plain=plain)))


def fork_disks(spec: MachineSpec, directory: Path, own: Path | None) -> MachineSpec:
    """Return `spec` with the disks of the snapshot in `directory`, which stay as they are.

    Args:
        spec: the machine as it was asked for.
        directory: the snapshot's.
        own: where each disk is copied to, for the host to read; None gives the guest a view that
            ends with its QEMU.

    Raises:
        SnapshotError: a copy can't be made.
    """
    if own is None:
        return _with_disks(
            spec,
            lambda index, disk: replace(
                disk,
                path=directory / _name(index, plain=False),
                format=DiskFormat.QCOW2,
                discard_writes=True,
            ),
        )
    return _with_disks(
        spec,
        lambda index, disk: _copy(
            replace(disk, path=directory / _name(index, plain=True)), own / f"disk{index}.img"
        ),
    )


def _with_disks(spec: MachineSpec, change: Callable[[int, Disk], Disk]) -> MachineSpec:
    return replace(
        spec,
        disks=tuple(disk if disk.read_only else change(index, disk) for index, disk in enumerate(spec.disks)),
    )


def _name(index: int, *, plain: bool) -> str:
    return f"disk{index}.{'raw' if plain else 'qcow2'}"


def _copy(disk: Disk, path: Path) -> Disk:
    try:
        shutil.copyfile(disk.path, path)
    except OSError as error:
        raise SnapshotError(f"{path}: can't copy the disk: {error.strerror}") from error
    return replace(disk, path=path, discard_writes=False)


def _overlay(disk: Disk, path: Path) -> Disk:
    if shutil.which(_PROGRAM) is None:
        raise MissingPrerequisite(_PROGRAM, remedy="apt-get install qemu-utils")
    words = [_PROGRAM, "create", "-q", "-f", "qcow2", "-b", os.fspath(disk.path), "-F", disk.format]
    made = run_bounded([*words, os.fspath(path)], deadline=Deadline.after(_BOUND_S))
    if made.exit_code != 0:
        said = made.stderr.decode("utf-8", "backslashreplace").strip()
        raise SnapshotError(f"{path}: {_PROGRAM} made no overlay: {said or made.exit_code}")
    return replace(disk, path=path, format=DiskFormat.QCOW2, discard_writes=False)
