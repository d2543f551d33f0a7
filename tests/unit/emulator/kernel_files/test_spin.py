"""The module that hangs a processor, made from a small donor built here byte by byte."""

import struct

import pytest

from emulator.errors import ImageError
from emulator.kernel_files.spin import make_spin_module, strip_signature
from emulator.machine.architectures import ARM64, X86_64

ENDBR = b"\xf3\x0f\x1e\xfa"
CODE = b"\x0f\x1f\x44\x00\x00" + b"\x90" * 11
PROGBITS, SYMTAB, STRTAB, RELA = 1, 2, 3, 4


def make_donor(
    *, code: bytes = ENDBR + CODE, symbol: bytes = b"init_module", name: bytes = b"evdev"
) -> bytes:
    strings = b"\0" + symbol + b"\0"
    symbols = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, 0, len(code))
    this = bytes(24) + name.ljust(56, b"\0") + bytes(40)
    sections = [
        (b"", 0, b"", 0, 0),
        (b".init.text", PROGBITS, code, 0, 0),
        (b".rela.init.text", RELA, bytes(24), 6, 1),
        (b".gnu.linkonce.this_module", PROGBITS, this, 0, 0),
        (b".modinfo", PROGBITS, b"license=GPL\0name=" + name + b"\0vermagic=6.1\0", 0, 0),
        (b"__mcount_loc", PROGBITS, bytes(8), 0, 0),
        (b".symtab", SYMTAB, symbols, 7, 0),
        (b".strtab", STRTAB, strings, 0, 0),
    ]
    names = b"".join(section[0] + b"\0" for section in sections) + b".shstrtab\0"
    sections.append((b".shstrtab", STRTAB, names, 0, 0))
    body, headers = b"", b""
    for title, kind, content, link, info in sections:
        fields = (names.index(title + b"\0"), kind, 0, 0, 64 + len(body), len(content), link, info)
        headers += struct.pack("<IIQQQQII", *fields) + bytes(16)
        body += content
    header = bytearray(b"\x7fELF\x02\x01".ljust(64, b"\0"))
    struct.pack_into("<Q", header, 0x28, 64 + len(body))
    struct.pack_into("<HHH", header, 0x3A, 64, len(sections), len(sections) - 1)
    return bytes(header) + body + headers


def sign(module: bytes) -> bytes:
    return module + b"S" * 300 + bytes(8) + struct.pack(">I", 300) + b"~Module signature appended~\n"


def test_spin_begins_with_cli_and_a_jump_to_itself_behind_the_branch_target():
    spin = make_spin_module(make_donor(), X86_64.code)
    assert spin[64 : 64 + 7] == ENDBR + b"\xfa\xeb\xfe"


def test_spin_begins_with_cli_when_there_is_no_branch_target():
    assert make_spin_module(make_donor(code=CODE), X86_64.code)[64:67] == b"\xfa\xeb\xfe"


def test_spin_has_its_own_name():
    spin = make_spin_module(make_donor(), X86_64.code)
    assert b"evdev" not in spin
    assert b"\0name=spin\0\0vermagic" in spin


def test_spin_has_no_relocations_and_no_patch_sites_for_its_init_code():
    donor = make_donor()
    spin = make_spin_module(donor, X86_64.code)
    (table,) = struct.unpack_from("<Q", spin, 0x28)
    assert struct.unpack_from("<I", donor, table + 2 * 64 + 4)[0] == RELA
    assert struct.unpack_from("<I", spin, table + 2 * 64 + 4)[0] == PROGBITS
    assert b"__mcount_loc" in donor
    assert b"__mcount_loc" not in spin


def test_spin_keeps_its_size_and_loses_the_signature():
    assert make_spin_module(sign(make_donor()), X86_64.code) == make_spin_module(make_donor(), X86_64.code)
    assert len(make_spin_module(make_donor(), X86_64.code)) == len(make_donor())


def test_signature_is_left_alone_when_there_is_none():
    assert strip_signature(b"module") == b"module"


@pytest.mark.parametrize(
    "donor",
    [b"", b"\x7fELF", make_donor(symbol=b"init_modulo"), make_donor(name=b"button"), make_donor()[:200]],
)
def test_spin_is_refused_when_the_donor_has_another_shape(donor: bytes):
    with pytest.raises(ImageError, match="not of the expected shape"):
        make_spin_module(donor, X86_64.code)


def test_spin_of_arm64_masks_interrupts_behind_its_landing_pad():
    hang = ARM64.code.hang
    for pad in (*ARM64.code.landings, b""):
        spin = make_spin_module(make_donor(code=pad + b"\x1f\x20\x03\xd5" * 4), ARM64.code)
        assert spin[64 : 64 + len(pad) + len(hang)] == pad + hang
