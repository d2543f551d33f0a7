"""Kernels out of bzImages: every compression that Debian has used, and everything that is wrong with one."""

import gzip
import lzma
import struct

import lz4.block
import pytest
import zstandard

from emulator.errors import ImageError
from emulator.kernel_files.vmlinux import extract_vmlinux, find_payload, has_pvh_entry


def make_elf(*, note_name: bytes = b"Xen\0", note_kind: int = 18) -> bytes:
    other = struct.pack("<III", 4, 1, 1) + b"GNU\0" + b"x\0\0\0"
    notes = (
        other + struct.pack("<III", len(note_name), 8, note_kind) + note_name.ljust(4, b"\0") + b"\x40" * 8
    )
    header = bytearray(b"\x7fELF\x02\x01".ljust(64, b"\0"))
    struct.pack_into("<Q", header, 0x20, 64)
    struct.pack_into("<HH", header, 0x36, 56, 2)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, 0)
    note = struct.pack("<IIQQQQQQ", 4, 4, 64 + 112, 0, 0, len(notes), len(notes), 4)
    return bytes(header) + load + note + notes + b"kernel text" * 50


def make_bzimage(payload: bytes, *, version: int = 0x20F, sectors: int = 4) -> bytes:
    stored = payload + struct.pack("<I", 12345)
    image = bytearray((sectors + 1) * 512)
    image[0x1F1] = sectors
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, version)
    struct.pack_into("<II", image, 0x248, 16, len(stored))
    return bytes(image) + b"\x90" * 16 + stored + b"tail"


def lz4_legacy(data: bytes, block_size: int = 1 << 23) -> bytes:
    frame = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), block_size):
        block = lz4.block.compress(data[start : start + block_size], store_size=False)
        frame += struct.pack("<I", len(block)) + block
    return frame


PACKERS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4_legacy,
}


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_vmlinux_comes_out_of_a_bzimage(name: str):
    assert extract_vmlinux(make_bzimage(PACKERS[name](make_elf()))) == make_elf()


def test_vmlinux_of_several_lz4_blocks_comes_out_whole():
    payload = lz4_legacy(make_elf(), block_size=100)
    assert extract_vmlinux(make_bzimage(payload)) == make_elf()


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_vmlinux_is_refused_when_the_payload_is_damaged(name: str):
    payload = bytearray(PACKERS[name](make_elf()))
    payload[12:40] = b"\xff" * 28
    with pytest.raises(ImageError, match=r"damaged kernel payload|not an ELF file"):
        extract_vmlinux(make_bzimage(bytes(payload)))


def test_vmlinux_is_refused_when_the_payload_is_truncated():
    with pytest.raises(ImageError, match="truncated bzImage"):
        extract_vmlinux(make_bzimage(gzip.compress(make_elf()))[:-100])


def test_vmlinux_is_refused_when_the_compression_is_unknown():
    with pytest.raises(ImageError, match="unknown compression"):
        extract_vmlinux(make_bzimage(b"BZh91AY&SY" + bytes(50)))


def test_vmlinux_is_refused_when_it_is_no_elf_file():
    with pytest.raises(ImageError, match="not an ELF file"):
        extract_vmlinux(make_bzimage(gzip.compress(b"MZ" * 100)))


def test_vmlinux_is_refused_without_a_pvh_entry():
    with pytest.raises(ImageError, match="no PVH entry"):
        extract_vmlinux(make_bzimage(gzip.compress(make_elf(note_kind=17))))


def test_payload_is_refused_when_the_setup_header_is_missing():
    with pytest.raises(ImageError, match="not a bzImage"):
        find_payload(bytes(4096))


def test_payload_is_refused_when_the_boot_protocol_is_too_old():
    with pytest.raises(ImageError, match="boot protocol 0x204"):
        find_payload(make_bzimage(b"", version=0x204))


def test_payload_is_found_when_the_setup_size_is_left_at_its_default():
    image = bytearray(make_bzimage(b"payload!", sectors=4))
    image[0x1F1] = 0
    assert find_payload(bytes(image)) == b"payload!"


@pytest.mark.parametrize("elf", [b"", b"\x7fELF", make_elf()[:100], make_elf(note_name=b"Zen\0")])
def test_pvh_entry_is_not_seen_where_there_is_none(elf: bytes):
    assert not has_pvh_entry(elf)
