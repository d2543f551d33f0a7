"""Composes the SAC guest's disk for BIOS and UEFI, and reads the crash dump from it. Pure.

sector 0         boot sector and MBR; the image follows it
sector 2048      EFI system partition, FAT16: EFI/BOOT/BOOTX64.EFI, PAGEFILE.SYS in one piece, README.TXT;
                 for the guest it is C:, where MEMORY.DMP appears after a bugcheck
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emulator.errors import ImageError
from emulator.sac.profile import IDENTITY

IMAGE = "sac.elf"
BOOT_SECTOR = "mbr.bin"
EFI_STUB = "efi.bin"
"""Names of the files that `build` makes, which are package data."""

SECTOR = 512
PARTITION = 2048
PAGEFILE = 0x110000
"""Bytes of PAGEFILE.SYS: room for the largest dump."""
DUMP_NAME = "MEMORY.DMP"

_CLUSTER_SECTORS = 2
_CLUSTER = _CLUSTER_SECTORS * SECTOR
_CLUSTERS = 4400  # FAT16 has at least 4085
_FAT_SECTORS = -(-(_CLUSTERS + 2) * 2 // SECTOR)
_ROOT_ENTRIES = 512
_ROOT_SECTORS = _ROOT_ENTRIES * 32 // SECTOR
_FIRST_FAT = 1
_ROOT = _FIRST_FAT + 2 * _FAT_SECTORS
_DATA = _ROOT + _ROOT_SECTORS
_VOLUME_SECTORS = _DATA + _CLUSTERS * _CLUSTER_SECTORS
DISK_BYTES = (PARTITION + _VOLUME_SECTORS) * SECTOR

_BOOT_CODE = 440
_SECTORS_AT = 4  # in the boot sector (images/sac/mbr.S)
_IMAGE_SECTORS_MAX = 0x70000 // SECTOR  # from 0x10000 to where the BIOS keeps its data
_EFI_PAGE = 0x1000
_EFI_CODE = 2 * _EFI_PAGE
_EFI_MEMORY = 0x90000  # of the image and of the memory map behind it (images/sac/efi.S)
_EFI_SYSTEM = 0xEF
_DIRECTORY, _FILE = 0x10, 0x20
_TIME = struct.pack("<HH", 0, (2024 - 1980) << 9 | 1 << 5 | 1)
_LAST = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashDump:
    """A crash dump, and what its header says.

    Attributes:
        code: the bugcheck's code.
        parameters: its four parameters.
        comment: a text in the header; the SAC guest's says that it is not Windows.
        size: bytes of the file.
        content: the whole file.
    """

    code: int
    parameters: tuple[int, ...]
    comment: str
    size: int
    content: bytes


def flatten(elf: bytes) -> bytes:
    """Return what an ELF file loads; raises ImageError if it is no 32-bit ELF with one part to load."""
    if elf[:5] != b"\x7fELF\x01":
        raise ImageError("the SAC guest's image is not a 32-bit ELF")
    table, _, _, _, size, count = struct.unpack_from("<IIIHHH", elf, 28)
    headers = (struct.unpack_from("<5I", elf, at) for at in range(table, table + size * count, size))
    loads = [header for header in headers if header[0] == 1]
    if len(loads) != 1:
        raise ImageError(f"the SAC guest's image has {len(loads)} parts to load; allowed: 1")
    _, offset, _, _, length = loads[0]
    return elf[offset : offset + length]


def compose_disk(image: bytes, *, boot_sector: bytes, efi_stub: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the disk's content as offsets and bytes; the rest of its `DISK_BYTES` is zero.

    `image` is what `flatten` returns, the others what was built from images/sac/mbr.S and images/sac/efi.S.

    Raises:
        ImageError: the image does not fit.
    """
    sectors = -(-len(image) // SECTOR)
    if sectors > _IMAGE_SECTORS_MAX:
        raise ImageError(f"the SAC guest has {sectors} sectors; allowed: {_IMAGE_SECTORS_MAX}")
    yield 0, _master_boot_record(boot_sector, sectors)
    yield SECTOR, image
    files = {"BOOTX64.EFI": efi_program(image, efi_stub), "README.TXT": f"{IDENTITY}\r\n".encode()}
    for offset, content in _volume(files):
        yield PARTITION * SECTOR + offset, content


def efi_program(image: bytes, stub: bytes) -> bytes:
    """Return the PE image that UEFI starts: the stub with its sizes filled in, followed by the guest."""
    size = -(-(len(stub) - _EFI_CODE + len(image)) // _EFI_PAGE) * _EFI_PAGE
    memory = -(-max(_EFI_MEMORY, size) // _EFI_PAGE) * _EFI_PAGE
    program = bytearray((stub + image).ljust(_EFI_CODE + size, b"\0"))
    sizes = {0x5C: size, 0x90: _EFI_CODE + memory, 0x178: memory, 0x180: size}
    for at, value in sizes.items():
        struct.pack_into("<I", program, at, value)
    struct.pack_into("<Q", program, _EFI_CODE + 8, len(image))
    return bytes(program)


def blank_multiboot(elf: bytes) -> bytes:
    """Return an ELF that starts through its PVH note only; QEMU and qboot would prefer multiboot."""
    magic = struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF)
    if elf.count(magic) != 1:
        raise ImageError("the SAC guest's image has no multiboot header")
    return elf.replace(magic, bytes(12))


def read_dump(disk: bytes) -> CrashDump | None:
    """Return the crash dump on a disk, None before the boot after a bugcheck; ImageError: it is none."""
    volume = disk[PARTITION * SECTOR :]
    if volume[54:59] != b"FAT16":
        raise ImageError("the disk has no volume of the SAC guest")
    entries = volume[_ROOT * SECTOR : _DATA * SECTOR]
    for at in range(0, len(entries), 32):
        if entries[at : at + 11] == _short_name(DUMP_NAME):
            first, size = struct.unpack_from("<HI", entries, at + 26)
            return _parse_dump(b"".join(_chain(volume, first))[:size], size)
    return None


def _parse_dump(content: bytes, size: int) -> CrashDump:
    if content[:8] != b"PAGEDU64" or len(content) != size:
        raise ImageError(f"{DUMP_NAME} is not a crash dump: it begins with {content[:8]!r}")
    return CrashDump(
        code=struct.unpack_from("<I", content, 0x38)[0],
        parameters=struct.unpack_from("<4Q", content, 0x40),
        comment=content[0xFB0 : 0xFB0 + 128].partition(b"\0")[0].decode("ascii", "replace"),
        size=size,
        content=content,
    )


def _chain(volume: bytes, cluster: int) -> Iterator[bytes]:
    for _ in range(_CLUSTERS):
        if not 2 <= cluster < _CLUSTERS + 2:
            return
        yield volume[_offset(cluster) :][:_CLUSTER]
        (cluster,) = struct.unpack_from("<H", volume, _FIRST_FAT * SECTOR + cluster * 2)


def _master_boot_record(code: bytes, sectors: int) -> bytes:
    record = bytearray(code[:_BOOT_CODE].ljust(SECTOR, b"\0"))
    struct.pack_into("<H", record, _SECTORS_AT, sectors)
    record[440:444] = b"ttyl"
    whole = (0x80, b"\xff\xff\xff", _EFI_SYSTEM, b"\xff\xff\xff", PARTITION, _VOLUME_SECTORS)
    struct.pack_into("<B3sB3sII", record, 446, *whole)
    record[510:] = b"\x55\xaa"
    return bytes(record)


def _volume(files: Mapping[str, bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield a FAT16 volume: the program in EFI/BOOT, the other files in the root."""
    yield 0, _boot_record()
    program, readme = files["BOOTX64.EFI"], files["README.TXT"]
    efi, boot, loader = 2, 3, 4
    text = loader + -(-len(program) // _CLUSTER)
    pagefile = text + 1
    end = pagefile + PAGEFILE // _CLUSTER
    table = struct.pack("<HH", 0xFFF8, _LAST)
    for first, after in ((efi, boot), (boot, loader), (loader, text), (text, pagefile), (pagefile, end)):
        table += b"".join(struct.pack("<H", each) for each in (*range(first + 1, after), _LAST))
    for copy in range(2):
        yield (_FIRST_FAT + copy * _FAT_SECTORS) * SECTOR, table
    root = _entry("EFI", _DIRECTORY, efi, 0) + _entry("README.TXT", _FILE, text, len(readme))
    yield _ROOT * SECTOR, root + _entry("PAGEFILE.SYS", _FILE, pagefile, PAGEFILE)
    yield _offset(efi), _dots(efi, 0) + _entry("BOOT", _DIRECTORY, boot, 0)
    yield _offset(boot), _dots(boot, efi) + _entry("BOOTX64.EFI", _FILE, loader, len(program))
    yield _offset(loader), program
    yield _offset(text), readme


def _offset(cluster: int) -> int:
    return (_DATA + (cluster - 2) * _CLUSTER_SECTORS) * SECTOR


def _boot_record() -> bytes:
    record = b"\xeb\x3c\x90TTYLAB  "
    record += struct.pack(
        "<HBHBHHBHHHII",
        *(SECTOR, _CLUSTER_SECTORS, _FIRST_FAT, 2, _ROOT_ENTRIES, _VOLUME_SECTORS, 0xF8, _FAT_SECTORS),
        *(32, 64, PARTITION, 0),
    )
    record += struct.pack("<BBBI", 0x80, 0, 0x29, 0x7474796C) + b"TTYLAB SAC FAT16   "
    return record.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _short_name(name: str) -> bytes:
    stem, _, kind = name.partition(".")
    return f"{stem:8}{kind:3}".encode("ascii")


def _entry(name: str, kind: int, cluster: int, size: int) -> bytes:
    raw = name.ljust(11).encode() if name.startswith(".") else _short_name(name)
    return raw + bytes([kind]) + bytes(10) + _TIME + struct.pack("<HI", cluster, size)


def _dots(here: int, above: int) -> bytes:
    return _entry(".", _DIRECTORY, here, 0) + _entry("..", _DIRECTORY, above, 0)
