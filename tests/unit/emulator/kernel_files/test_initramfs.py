"""Which kernels an initramfs has modules for, however it is packed."""

import bz2
import gzip
import lzma

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel_files import cpio
from emulator.kernel_files.initramfs import kernel_releases

RELEASE = "6.1.0-50-amd64"
MICROCODE = cpio.write_archive([cpio.file("kernel/x86/microcode/GenuineIntel.bin", b"code")])


def archive(*releases: str, root: str = "lib/modules") -> bytes:
    files = [
        cpio.file(f"{root}/{one}/kernel/{number}.ko", b"x" * number) for number, one in enumerate(releases)
    ]
    return cpio.write_archive([cpio.file("init", b"#!/bin/sh\n"), *files])


def lz4_legacy(data: bytes) -> bytes:
    block = lz4.block.compress(data, store_size=False)
    return b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + block


PACKERS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "lz4": lz4_legacy,
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(
    "before", [b"", MICROCODE, MICROCODE + bytes(512)], ids=["alone", "microcode", "padded"]
)
def test_release_is_found_however_it_is_packed(packer, before):
    assert kernel_releases(before + PACKERS[packer](archive(RELEASE))) == {RELEASE}


@pytest.mark.parametrize("root", ["lib/modules", "usr/lib/modules"])
def test_every_release_is_found(root):
    assert kernel_releases(archive("6.1.0", "6.12.0", root=root)) == {"6.1.0", "6.12.0"}


def test_ttylabs_own_list_of_modules_is_no_release():
    own = cpio.write_archive([cpio.file("lib/modules/order", b"x\n"), cpio.file("lib/modules/spin.ko", b"x")])
    assert kernel_releases(own) == frozenset()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(4096),
        b"MZ no archive",
        gzip.compress(archive(RELEASE), mtime=0)[:40],
        b"070701" + b"g" * 200,
    ],
)
def test_what_can_not_be_read_has_no_release(content):
    assert kernel_releases(content) == frozenset()


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_no_content_is_too_strange(noise, at):
    whole = MICROCODE + archive(RELEASE)
    kernel_releases(whole[:at] + noise + whole[at + len(noise) :])
    kernel_releases(noise)
