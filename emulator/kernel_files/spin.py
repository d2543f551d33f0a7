"""A module that hangs the CPU which loads it, made from one that every kernel of Debian has. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from emulator.errors import ImageError
from emulator.machine.architectures.parts import GuestCode

DONOR = "evdev"  # in every Debian kernel, depends on no module, exports nothing
NAME = "spin"
_SIGNATURE_MARK = b"~Module signature appended~\n"
_SIGNATURE_TRAILER = 12
_SHT_PROGBITS, _SHT_SYMTAB, _SHT_RELA = 1, 2, 4
_MODULE_NAME_SIZE = 56
_PATCHED_SECTIONS = frozenset(
    (
        *(".altinstructions", ".call_sites", ".ibt_endbr_seal", ".parainstructions", ".retpoline_sites"),
        *(".return_sites", ".smp_locks", ".static_call_sites"),
        *("__jump_table", "__mcount_loc", "__patchable_function_entries"),
    )
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


def make_spin_module(donor: bytes, code: GuestCode) -> bytes:
    """Return a module "spin" that hangs the CPU in its init; raises ImageError for a strange `donor`."""
    module = bytearray(strip_signature(donor))
    try:
        sections = list(_sections(module))
        _hang_init(module, sections, code)
        for section in sections:
            if section.name in _PATCHED_SECTIONS:  # tables of patch sites, which the kernel finds by name
                module[section.name_offset + 1] = ord("X")
        _rename(module, {section.name: section for section in sections})
    except (struct.error, ValueError, LookupError) as error:
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


def _hang_init(module: bytearray, sections: list[_Section], code: GuestCode) -> None:
    index, value = _find_symbol(module, sections, b"init_module")
    start = sections[index].offset + value
    if module[start : start + 4] in code.landings:
        start += 4
    module[start : start + len(code.hang)] = code.hang
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


def _rename(module: bytearray, sections: dict[str, _Section]) -> None:
    """Give the module its own name; two modules of the same name can't be loaded."""
    old, new = DONOR.encode(), NAME.encode()
    this, info = sections[".gnu.linkonce.this_module"], sections[".modinfo"]
    at = module.index(old.ljust(_MODULE_NAME_SIZE, b"\0"), this.offset, this.offset + this.size)
    module[at : at + len(old)] = new.ljust(len(old), b"\0")
    at = module.index(b"name=" + old + b"\0", info.offset, info.offset + info.size)
    module[at + 5 : at + 5 + len(old)] = new.ljust(len(old), b"\0")
