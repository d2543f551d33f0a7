"""The format of a disk's file by its content, and why such a file would not do.

A disk may name another file of the host, as its backing file, its data, its parent or an extent, in whatever
words QEMU understands (`json:…`, `nbd:…`). QEMU would open it, and the guest, who may be anybody, would read
it. Raw disks are safe because QEMU is always told their format; it looks for no header that a guest wrote.

The layouts are those of QEMU's "qcow2 Image File Format", of Microsoft's "Virtual Hard Disk Image Format
Specification" (2006) and [MS-VHDX] 2.3 to 2.6, and of VMware's "Virtual Disk Format 5.0".
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from emulator.disks.layout import last_byte
from emulator.errors import SpecError
from emulator.guest_text.printable import escape, visible


class DiskFormat(StrEnum):
    """Format of a disk's file, as QEMU calls it; `vpc` is Microsoft's older VHD."""

    RAW = "raw"
    QCOW2 = "qcow2"
    VHD = "vpc"
    VHDX = "vhdx"
    VMDK = "vmdk"


_CONVERT = ", which qemu-img convert -O qcow2 turns into one that is"
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0x40, b"\x7f\x10\xda\xbe", f"a VDI disk{_CONVERT}"),
    (0, b"QED\0", f"a QED disk{_CONVERT}"),
    (0, b"WithoutFreeSpace", f"a Parallels disk{_CONVERT}"),
    (0, b"WithouFreSpacExt", f"a Parallels disk{_CONVERT}"),
    (0x8001, b"CD001", "an ISO"),
    (0x8001, b"BEA01", "an ISO"),
    (0, b"\x1f\x8b", "packed by gzip; unpack it first"),
    (0, b"\xfd7zXZ\0", "packed by xz; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "packed by zstd; unpack it first"),
    (0, b"BZh", "packed by bzip2; unpack it first"),
    (0, b"PK\x03\x04", "a zip archive; unpack it first"),
    (0, b"\x7fELF", "an ELF file, not a disk"),
)
HEAD_BYTES = 0x8010
"""How much of a file tells its format: ISOs have their mark behind 32 KiB."""
_VHD = b"conectix"
_MAGICS: Mapping[DiskFormat, tuple[bytes, ...]] = MappingProxyType(
    {
        DiskFormat.QCOW2: (b"QFI\xfb",),
        DiskFormat.VHDX: (b"vhdxfile",),
        DiskFormat.VHD: (_VHD,),
        DiskFormat.VMDK: (b"KDMV", b"COWD", b"# Disk DescriptorFile"),
    }
)
_FOOTER = 512  # bytes of a VHD's footer, which a fixed one has only at its end
_NAME_MOST = 1023  # bytes of a backing file's name, the most that qcow2 allows
_DATA_FILE = 1 << 2  # incompatible feature of qcow2: the clusters are in another file
_INCOMPATIBLE_AT = 72
_CRYPT_AT = 32
_LUKS = b"LUKS\xba\xbe"
_VHD_FIXED, _VHD_DYNAMIC = 2, 3
_REGION_TABLES = (0x30000, 0x40000)
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_HAS_PARENT = 1 << 1
_ENTRIES_MOST = 2047
_DESCRIPTOR_MOST = 64 << 10


def detect_format(path: Path) -> DiskFormat:
    """Return the format of a disk's file; errors are those of `format_of`, and OSError."""
    with _opened(path) as handle:
        head, size = os.pread(handle, HEAD_BYTES, 0), os.fstat(handle).st_size
        footer = os.pread(handle, _FOOTER, max(0, size - _FOOTER))
    return format_of(head, footer, origin=visible(str(path)))


def format_of(head: bytes, footer: bytes, *, origin: str) -> DiskFormat:
    """Return a file's format by its first HEAD_BYTES and last 512, raw without a mark; raises SpecError."""
    for disk_format, magics in _MAGICS.items():
        if head.startswith(magics):
            return disk_format
    if footer.startswith(_VHD):
        return DiskFormat.VHD
    for offset, magic, what in _OTHERS:
        if head.startswith(magic, offset):
            raise SpecError(f"disk {origin}: it is {what}; taken are raw, qcow2, VHD, VHDX, VMDK")
    return DiskFormat.RAW


def obstacle(path: Path, disk_format: DiskFormat) -> str:
    """Return why a disk can't be given to a guest, in words; empty if it can. Raises OSError.

    It rests on another file, its file is cut off, or it is encrypted as a whole.
    """
    found = outside_file(path, disk_format)
    if found:
        return (
            f"it rests on {found}, which its guest could read; only a disk in one file is taken. If you "
            f"trust it: qemu-img convert -f {disk_format} -O qcow2 {visible(str(path))} whole.qcow2"
        )
    with _opened(path) as handle:
        return _CHECKS[disk_format][1](handle, os.fstat(handle).st_size)


def outside_file(path: Path, disk_format: DiskFormat) -> str:
    """Return what a disk rests on besides its own file, in words; empty if on nothing. Raises OSError."""
    with _opened(path) as handle:
        return _CHECKS[disk_format][0](handle)


def fixed_vhd_size(path: Path) -> int | None:
    """Return the bytes that the guest sees of a fixed VHD; None of other VHDs. Raises OSError."""
    with _opened(path) as handle:
        if _vhd_type(handle) != _VHD_FIXED:
            return None
        return int(struct.unpack_from(">Q", _vhd_footer(handle), 48)[0])


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield handle
    finally:
        os.close(handle)


def _outside_qcow2(handle: int) -> str:
    head = os.pread(handle, _INCOMPATIBLE_AT + 8, 0).ljust(_INCOMPATIBLE_AT + 8, b"\0")
    version, offset, size = struct.unpack_from(">IQI", head, 4)
    if offset or size:
        name = _read(handle, offset, min(size, _NAME_MOST))
        return f"the backing file '{escape(name)}'"
    (features,) = struct.unpack_from(">Q", head, _INCOMPATIBLE_AT)
    return "an external data file" if version >= 3 and features & _DATA_FILE else ""


def _outside_vhdx(handle: int) -> str:
    return "a parent disk" if any(_has_parent(handle, at) for at in _REGION_TABLES) else ""


def _has_parent(handle: int, table: int) -> bool:
    for place in _entries(handle, table, signature=b"regi", wanted=_METADATA, head=16, count="<8xI"):
        start = struct.unpack("<Q", place[:8])[0]
        for item in _entries(
            handle, start, signature=b"metadata", wanted=_PARAMETERS, head=32, count="<10xH"
        ):
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


def _outside_vhd(handle: int) -> str:
    return "a parent disk" if _vhd_type(handle) not in {_VHD_FIXED, _VHD_DYNAMIC} else ""


def _vhd_type(handle: int) -> int:
    footer = _vhd_footer(handle)
    return int(struct.unpack_from(">I", footer, 60)[0]) if len(footer) == _FOOTER else _VHD_FIXED


def _vhd_footer(handle: int) -> bytes:
    head = os.pread(handle, _FOOTER, 0)
    if head.startswith(_VHD):
        return head
    return os.pread(handle, _FOOTER, max(0, os.fstat(handle).st_size - _FOOTER))


def _outside_vmdk(handle: int) -> str:
    """Return "other files" for a descriptor of extents, "a parent disk" for a snapshot; else nothing.

    A sparse extent without a capacity only holds a descriptor (QEMU 7.2, block/vmdk.c, vmdk_open_vmdk4).
    """
    head = os.pread(handle, 80, 0).ljust(80, b"\0")
    if not head.startswith(b"KDMV"):
        return "other files" if head.startswith(b"#") else ""
    capacity, _, start, sectors = struct.unpack_from("<QQQQ", head, 12)
    if not capacity:
        return "other files"
    descriptor = _read(handle, start * 512, min(sectors * 512, _DESCRIPTOR_MOST)) if start else b""
    return "a parent disk" if b"parentFileNameHint" in descriptor else ""


def _read(handle: int, offset: int, size: int) -> bytes:
    return os.pread(handle, size, offset) if offset < 1 << 62 else b""


def _damage_raw(handle: int, size: int) -> str:
    if size < 512:
        return f"it has {size} bytes, less than one sector"
    head = os.pread(handle, 1024, 0)
    return _ENCRYPTED if head.startswith(_LUKS) else _cut_off(size, last_byte(head))


_ENCRYPTED = "it is encrypted as a whole, and nothing could boot from it"


def _damage_qcow2(handle: int, size: int) -> str:
    head = os.pread(handle, 104, 0)
    if len(head) < _INCOMPATIBLE_AT:
        return f"it is cut off: {size} bytes"
    if struct.unpack_from(">I", head, _CRYPT_AT)[0]:
        return _ENCRYPTED
    entries, table = struct.unpack_from(">IQ", head, 36)
    data = _read(handle, table, min(entries, 1 << 20) * 8)
    places: tuple[int, ...] = struct.unpack(f">{len(data) // 8}Q", data[: len(data) // 8 * 8])
    # The last table that the L1 table names must be there; what is behind it the guest misses less.
    return _cut_off(size, max(table + 8 * entries, 0, *(one & 0x00FFFFFFFFFFFE00 for one in places)))


def _cut_off(size: int, needed: int) -> str:
    return "" if size >= needed else f"it is cut off: {size} bytes, and its tables lead to byte {needed}"


def _damage_vhd(handle: int, size: int) -> str:
    if size < _FOOTER or not os.pread(handle, 8, size - _FOOTER).startswith(_VHD):
        return "it is cut off: its footer is missing"
    (wanted,) = struct.unpack_from(">Q", _vhd_footer(handle), 48)
    return _cut_off(size, wanted + _FOOTER) if _vhd_type(handle) == _VHD_FIXED else ""


def _damage_vhdx(handle: int, size: int) -> str:
    signatures = [_read(handle, at, 4) for at in _REGION_TABLES]
    return "" if b"regi" in signatures else f"it is cut off or damaged: {size} bytes without a region table"


def _damage_vmdk(handle: int, size: int) -> str:
    head = os.pread(handle, 80, 0)
    if not head.startswith(b"KDMV"):
        return ""
    if len(head) < 72:
        return f"it is cut off: {size} bytes"
    (directory,) = struct.unpack_from("<Q", head, 56)
    return "" if directory == 2**64 - 1 else _cut_off(size, directory * 512)


_CHECKS: Mapping[DiskFormat, tuple[Callable[[int], str], Callable[[int, int], str]]] = MappingProxyType(
    {
        DiskFormat.RAW: (lambda _: "", _damage_raw),
        DiskFormat.QCOW2: (_outside_qcow2, _damage_qcow2),
        DiskFormat.VHD: (_outside_vhd, _damage_vhd),
        DiskFormat.VHDX: (_outside_vhdx, _damage_vhdx),
        DiskFormat.VMDK: (_outside_vmdk, _damage_vmdk),
    }
)
"""What says on what a file of a format rests, and what says, by its size too, how it is damaged."""
