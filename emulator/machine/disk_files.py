"""Files that users bring for a machine: only regular files, and only disks that rest on no other file.

A disk may name another file of the host, as its backing file, its data or its parent, in whatever words QEMU
understands (`json:…`, `nbd:…`). QEMU would open it, and the guest, who may be anybody, would read it. Raw
disks are safe because QEMU is always told their format; it never looks for a header that a guest wrote.

The layouts are those of QEMU's "qcow2 Image File Format" and of [MS-VHDX] 2.3 to 2.6.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from emulator.errors import SpecError
from emulator.files import require_regular
from emulator.guest_text.printable import escape, visible
from emulator.machine.spec import DiskFormat, MachineSpec

_NAME_MOST = 1023
"""Bytes of a backing file's name, the most that qcow2 allows."""
_DATA_FILE = 1 << 2
"""Incompatible feature of qcow2: the clusters are in another file."""
_INCOMPATIBLE_AT = 72
_REGION_TABLES = (0x30000, 0x40000)
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_HAS_PARENT = 1 << 1
_ENTRIES_MOST = 2047


def require_own_files(spec: MachineSpec) -> None:
    """Check the files of a machine as its user asked for it; what is missing QEMU reports.

    Raises:
        SpecError: a file is a directory, a FIFO or a device, can't be read, or is a disk that rests on
            another file.
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
        found = outside_file(path, disk_format)
    except OSError as error:
        raise SpecError(f"disk {visible(str(path))}: can't be read: {error.strerror}") from error
    if found:
        shown = visible(str(path))
        raise SpecError(
            f"disk {shown}: it rests on {found}, which its guest could read; only a disk in one file is "
            f"taken. If you trust it: qemu-img convert -f {disk_format} -O qcow2 {shown} whole.qcow2"
        )


def _is_there(path: Path, *, what: str) -> bool:
    try:
        require_regular(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SpecError(f"{what} {visible(str(path))}: {error.strerror}") from error
    return True


def outside_file(path: Path, disk_format: DiskFormat) -> str:
    """Return what a disk rests on besides its own file, in words; empty if on nothing. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if disk_format is DiskFormat.QCOW2:
            return _outside_qcow2(handle)
        is_child = any(_has_parent(handle, at) for at in _REGION_TABLES)
        return "a parent disk" if disk_format is DiskFormat.VHDX and is_child else ""
    finally:
        os.close(handle)


def _outside_qcow2(handle: int) -> str:
    head = os.pread(handle, _INCOMPATIBLE_AT + 8, 0).ljust(_INCOMPATIBLE_AT + 8, b"\0")
    version, offset, size = struct.unpack_from(">IQI", head, 4)
    if offset or size:
        name = os.pread(handle, min(size, _NAME_MOST), offset) if offset < 1 << 62 else b""
        return f"the backing file '{escape(name)}'"
    (features,) = struct.unpack_from(">Q", head, _INCOMPATIBLE_AT)
    return "an external data file" if version >= 3 and features & _DATA_FILE else ""


def _has_parent(handle: int, table: int) -> bool:
    for place in _entries(handle, table, signature=b"regi", wanted=_METADATA, head=16, count="<8xI"):
        start = struct.unpack("<Q", place[:8])[0]
        parameters = _entries(
            handle, start, signature=b"metadata", wanted=_PARAMETERS, head=32, count="<10xH"
        )
        for item in parameters:
            flags = _read(handle, start + struct.unpack("<I", item[:4])[0] + 4, 4)
            if flags[:1] and flags[0] & _HAS_PARENT:
                return True
    return False


def _entries(
    handle: int, table: int, *, signature: bytes, wanted: UUID, head: int, count: str
) -> Iterator[bytes]:
    """Yield what follows the GUID `wanted` in a table's entries, which have 32 bytes each."""
    header = _read(handle, table, head)
    if len(header) < head or not header.startswith(signature):
        return
    entries = _read(handle, table + head, 32 * min(struct.unpack_from(count, header)[0], _ENTRIES_MOST))
    for at in range(0, len(entries) - 31, 32):
        if entries[at : at + 16] == wanted.bytes_le:
            yield entries[at + 16 : at + 32]


def _read(handle: int, offset: int, size: int) -> bytes:
    return os.pread(handle, size, offset) if offset < 1 << 62 else b""
