"""The uncompressed kernel inside a bzImage. Pure.

Sources: Documentation/arch/x86/boot.rst (setup header), include/xen/interface/elfnote.h (PVH note).
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import lz4.block  # type: ignore[import-untyped]
import zstandard

from emulator.errors import ImageError

_LZ4_LEGACY_BLOCK = 8 << 20
PT_LOAD, _PT_NOTE = 1, 4
_XEN_ELFNOTE_PHYS32_ENTRY = 18


def extract_vmlinux(bzimage: bytes) -> bytes:
    """Return the ELF kernel inside `bzimage`; ImageError: there is none, or none with QEMU's entry, PVH."""
    vmlinux = decompress(find_payload(bzimage))
    if vmlinux[:4] != b"\x7fELF":
        raise ImageError("the payload of the bzImage is not an ELF file")
    if not has_pvh_entry(vmlinux):
        raise ImageError("the kernel has no PVH entry note (CONFIG_PVH)")
    return vmlinux


def find_payload(bzimage: bytes) -> bytes:
    """Return the compressed kernel without its length; raises ImageError unless it is a bzImage (2.08 on)."""
    if len(bzimage) < 0x250 or bzimage[0x202:0x206] != b"HdrS":
        raise ImageError("not a bzImage: the setup header is missing")
    (version,) = struct.unpack_from("<H", bzimage, 0x206)
    if version < 0x208:
        raise ImageError(f"bzImage of boot protocol {version:#x}; at least 0x208 is needed")
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    if length < 8 or start + length > len(bzimage):
        raise ImageError(f"truncated bzImage: payload ends at {start + length}, file at {len(bzimage)}")
    return bzimage[start : start + length - 4]


def segments(elf: bytes) -> list[tuple[int, int, int, int]]:
    """Return kind, offset, size in the file and physical address of each segment of a 64-bit ELF file."""
    (table,) = struct.unpack_from("<Q", elf, 0x20)
    entry_size, count = struct.unpack_from("<HH", elf, 0x36)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + index * entry_size) for index in range(count)]
    return [(kind, offset, size, address) for kind, _, offset, _, address, size in headers]


def has_pvh_entry(elf: bytes) -> bool:
    """Tell whether a 64-bit ELF file has the Xen note for a 32-bit physical entry point."""
    try:
        notes = [elf[offset : offset + size] for kind, offset, size, _ in segments(elf) if kind == _PT_NOTE]
        return any(map(_notes_have_pvh, notes))
    except struct.error:
        return False


def decompress(payload: bytes) -> bytes:
    """Return what a kernel's build packed, by whatever program; raises ImageError."""
    for magic, name, decoder in _DECODERS:
        if payload.startswith(magic):
            try:
                return decoder(payload)
            except _DECODE_ERRORS as error:
                raise ImageError(f"damaged kernel payload ({name}): {error}") from error
    raise ImageError(f"unknown compression of the kernel payload: it starts with {payload[:6].hex()}")


def _lz4_legacy(payload: bytes) -> bytes:
    """Decode the output of `lz4 -l`: a magic, then blocks of at most 8 MiB, each preceded by its length."""
    blocks: list[bytes] = []
    position = 4
    while position + 4 <= len(payload):
        (size,) = struct.unpack_from("<I", payload, position)
        position += 4
        block = payload[position : position + size]
        if len(block) < size:
            raise ValueError(f"block of {size} bytes has only {len(block)}")
        blocks.append(lz4.block.decompress(block, uncompressed_size=_LZ4_LEGACY_BLOCK))
        position += size
    return b"".join(blocks)


def _zstd(payload: bytes) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(BytesIO(payload)) as reader:
        return reader.read()


_DECODERS: tuple[tuple[bytes, str, Callable[[bytes], bytes]], ...] = (
    (b"\x02\x21\x4c\x18", "lz4", _lz4_legacy),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
    (b"\xfd7zXZ\x00", "xz", lambda payload: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)),
    (b"\x1f\x8b", "gzip", lambda payload: zlib.decompressobj(wbits=31).decompress(payload)),
)
_DECODE_ERRORS: tuple[type[Exception], ...] = (
    *(ValueError, EOFError, zlib.error, lzma.LZMAError, lz4.block.LZ4BlockError, zstandard.ZstdError),
)


def _notes_have_pvh(notes: bytes) -> bool:
    position = 0
    while position + 12 <= len(notes):
        name_size, value_size, kind = struct.unpack_from("<III", notes, position)
        name = notes[position + 12 : position + 12 + name_size]
        if kind == _XEN_ELFNOTE_PHYS32_ENTRY and name == b"Xen\0":
            return True
        position += 12 + (name_size + 3) // 4 * 4 + (value_size + 3) // 4 * 4
    return False
