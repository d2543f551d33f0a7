"""Files that users bring for a machine: only regular files, and only disks that rest on no other file."""

from __future__ import annotations

from pathlib import Path

from emulator.disks.formats import DiskFormat, obstacle
from emulator.errors import SpecError
from emulator.files import require_regular
from emulator.guest_text.printable import visible
from emulator.machine.spec import MachineSpec


def require_own_files(spec: MachineSpec) -> None:
    """Check the files of a machine as its user asked for it; what is missing QEMU reports.

    Raises SpecError if one is no regular file, can't be read, or is a disk that rests on another file.
    """
    for disk in spec.disks:
        require_own_disk(disk.path, disk.format)
    cdroms = () if spec.windows is None else spec.windows.cdroms
    for name, path in (("kernel", spec.kernel), ("initrd", spec.initrd), *(("CD", path) for path in cdroms)):
        if path is not None:
            _is_there(path, what=name)


def require_own_disk(path: Path, disk_format: DiskFormat) -> None:
    """Check one disk; errors are those of `require_own_files`."""
    if not _is_there(path, what="disk") or disk_format is DiskFormat.RAW:
        return
    try:
        found = obstacle(path, disk_format)
    except OSError as error:
        found = f"can't be read: {error.strerror}"
    if found:
        raise SpecError(f"disk {visible(str(path))}: {found}")


def _is_there(path: Path, *, what: str) -> bool:
    try:
        require_regular(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SpecError(f"{what} {visible(str(path))}: {error.strerror}") from error
    return True
