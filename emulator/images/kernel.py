"""Debian's kernels: the uncompressed kernel out of a bzImage, its modules, and one that hangs a CPU. Pure.

Sources: Documentation/arch/x86/boot.rst (setup header), include/xen/interface/elfnote.h (PVH note).
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath

import lz4.block  # type: ignore[import-untyped]
import zstandard

from emulator.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A loadable module, unpacked.

    Attributes:
        name: as `lsmod` shows it, with underscores.
        depends: names of the modules that must be loaded before it.
        data: the ELF object.
    """

    name: str
    depends: tuple[str, ...]
    data: bytes


def module_name(path: str) -> str:
    """Return the name of the module at a path such as "kernel/drivers/char/hw_random/virtio-rng.ko.xz"."""
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def parse_module(path: str, packed: bytes) -> Module:
    """Return the module of a .ko, .ko.xz or .ko.zst file; raises ImageError if it holds none."""
    data = _unpack(path, packed)
    if b"vermagic=" not in data:
        raise ImageError(f"{path}: not a kernel module")
    depends = _modinfo(data, b"depends")
    names = tuple(module_name(name) for name in depends.split(",") if name)
    return Module(name=module_name(path), depends=names, data=data)


def load_order(wanted: Iterable[str], modules: Mapping[str, Module]) -> list[Module]:
    """Return the modules of `wanted` that exist, each once and after those that it depends on.

    Raises:
        ImageError: a dependency is not in `modules`, or two modules depend on each other.
    """
    order: dict[str, Module] = {}
    for name in wanted:
        if name in modules:
            _append(name, modules, order=order, path=())
    return list(order.values())


def _append(
    name: str, modules: Mapping[str, Module], *, order: dict[str, Module], path: tuple[str, ...]
) -> None:
    if name in order:
        return
    if name in path:
        raise ImageError(f"modules depend on each other: {' -> '.join((*path, name))}")
    if name not in modules:
        raise ImageError(f"module {path[-1]} depends on {name}, which the kernel package does not have")
    for dependency in modules[name].depends:
        _append(dependency, modules, order=order, path=(*path, name))
    order[name] = modules[name]


def _unpack(path: str, packed: bytes) -> bytes:
    try:
        if path.endswith(".xz"):
            return lzma.decompress(packed)
        if path.endswith(".zst"):
            return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    except (lzma.LZMAError, zstandard.ZstdError) as error:
        raise ImageError(f"{path}: damaged: {error}") from error
    return packed


def _modinfo(data: bytes, key: bytes) -> str:
    """Return a value of .modinfo; its strings are delimited by NUL bytes, so no ELF parser is needed."""
    start = data.find(b"\0" + key + b"=")
    if start < 0:
        return ""
    start += len(key) + 2
    return data[start : data.index(b"\0", start)].decode("ascii", "replace")


DONOR = "evdev"  # in every Debian kernel, depends on no module, exports nothing
NAME = "spin"
_SIGNATURE_MARK = b"~Module signature appended~\n"
_SIGNATURE_TRAILER = 12
_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_HANG = b"\xfa\xeb\xfe"  # cli; jmp .
_SHT_PROGBITS, _SHT_SYMTAB, _SHT_RELA = 1, 2, 4
_MODULE_NAME_SIZE = 56
_PATCHED_SECTIONS = frozenset(
    {
        ".altinstructions",
        ".call_sites",
        ".ibt_endbr_seal",
        ".parainstructions",
        ".retpoline_sites",
        ".return_sites",
        ".smp_locks",
        ".static_call_sites",
        "__jump_table",
        "__mcount_loc",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A section header of a 64-bit ELF object; `header` is its offset in the file."""

    name: str
    kind: int
    header: int
    name_offset: int
    offset: int
    size: int
    link: int
    info: int


def make_spin_module(donor: bytes) -> bytes:
    """Return a module "spin" that hangs the CPU in its init; raises ImageError for a strange `donor`."""
    module = bytearray(strip_signature(donor))
    try:
        sections = list(_sections(module))
        _hang_init(module, sections)
        _switch_off_patching(module, sections)
        _rename(module, sections)
    except (struct.error, ValueError, IndexError) as error:
        raise ImageError(f"module {DONOR}: not of the expected shape: {error}") from error
    return bytes(module)


def strip_signature(module: bytes) -> bytes:
    """Return `module` without the signature that the distribution appended."""
    if not module.endswith(_SIGNATURE_MARK):
        return module
    end = len(module) - len(_SIGNATURE_MARK)
    (length,) = struct.unpack_from(">I", module, end - 4)
    return module[: end - _SIGNATURE_TRAILER - length]


def _sections(module: bytearray) -> Iterator[_Section]:
    if module[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a little-endian 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", module, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", module, 0x3A)
    (names,) = struct.unpack_from("<Q", module, table + names_index * size + 0x18)
    for header in range(table, table + count * size, size):
        name, kind, _flags, _address, offset, length, link, info = struct.unpack_from(
            "<IIQQQQII", module, header
        )
        end = module.index(b"\0", names + name)
        yield _Section(
            name=module[names + name : end].decode("ascii"),
            kind=kind,
            header=header,
            name_offset=names + name,
            offset=offset,
            size=length,
            link=link,
            info=info,
        )


def _named(sections: list[_Section], name: str) -> _Section:
    for section in sections:
        if section.name == name:
            return section
    raise ValueError(f"it has no section {name}")


def _hang_init(module: bytearray, sections: list[_Section]) -> None:
    index, value = _find_symbol(module, sections, b"init_module")
    start = sections[index].offset + value
    if module[start : start + 4] == _ENDBR64:
        start += 4
    module[start : start + len(_HANG)] = _HANG
    for section in sections:
        if section.kind == _SHT_RELA and section.info == index:
            struct.pack_into("<I", module, section.header + 4, _SHT_PROGBITS)


def _find_symbol(module: bytearray, sections: list[_Section], wanted: bytes) -> tuple[int, int]:
    symbols = next(section for section in sections if section.kind == _SHT_SYMTAB)
    names = sections[symbols.link].offset
    for entry in range(symbols.offset, symbols.offset + symbols.size, 24):
        name, _info, _other, index, value = struct.unpack_from("<IBBHQ", module, entry)
        if module.startswith(wanted + b"\0", names + name):
            return index, value
    raise ValueError(f"it has no symbol {wanted.decode()}")


def _switch_off_patching(module: bytearray, sections: list[_Section]) -> None:
    """Rename the tables of patch sites: the kernel finds them by name."""
    for section in sections:
        if section.name in _PATCHED_SECTIONS:
            module[section.name_offset + 1] = ord("X")


def _rename(module: bytearray, sections: list[_Section]) -> None:
    """Give the module its own name; two modules of the same name can't be loaded."""
    old, new = DONOR.encode(), NAME.encode()
    this = _named(sections, ".gnu.linkonce.this_module")
    at = module.index(old.ljust(_MODULE_NAME_SIZE, b"\0"), this.offset, this.offset + this.size)
    module[at : at + len(old)] = new.ljust(len(old), b"\0")
    info = _named(sections, ".modinfo")
    at = module.index(b"name=" + old + b"\0", info.offset, info.offset + info.size)
    module[at + 5 : at + 5 + len(old)] = new.ljust(len(old), b"\0")


_LZ4_LEGACY_BLOCK = 8 << 20
_PT_NOTE = 4
_XEN_ELFNOTE_PHYS32_ENTRY = 18


def extract_vmlinux(bzimage: bytes) -> bytes:
    """Return the ELF kernel inside `bzimage`.

    Raises:
        ImageError: it is not a bzImage, its compression is unknown, it is damaged, or it has no PVH entry,
            which QEMU needs to start an ELF kernel.
    """
    vmlinux = _decompress(find_payload(bzimage))
    if vmlinux[:4] != b"\x7fELF":
        raise ImageError("the payload of the bzImage is not an ELF file")
    if not has_pvh_entry(vmlinux):
        raise ImageError("the kernel has no PVH entry note (CONFIG_PVH)")
    return vmlinux


def find_payload(bzimage: bytes) -> bytes:
    """Return the compressed kernel, without the length that the kernel's build appends to it.

    Raises:
        ImageError: it is not a bzImage of boot protocol 2.08 or later.
    """
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


def has_pvh_entry(elf: bytes) -> bool:
    """Tell whether a 64-bit ELF file has the Xen note for a 32-bit physical entry point."""
    try:
        (table,) = struct.unpack_from("<Q", elf, 0x20)
        entry_size, count = struct.unpack_from("<HH", elf, 0x36)
        headers = [struct.unpack_from("<IIQQQQ", elf, table + index * entry_size) for index in range(count)]
        notes = [elf[offset : offset + size] for kind, _, offset, _, _, size in headers if kind == _PT_NOTE]
        return any(map(_notes_have_pvh, notes))
    except struct.error:
        return False


def _decompress(payload: bytes) -> bytes:
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
    ValueError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    lz4.block.LZ4BlockError,
    zstandard.ZstdError,
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
