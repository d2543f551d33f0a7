"""What a kernel's file is: form, architecture, release; and what everything else is called."""

import gzip
import struct
from functools import partial

import pytest
import zstandard

from emulator.errors import ImageError
from emulator.kernel_files.identify import (
    HEAD,
    Form,
    KernelFacts,
    bare_image,
    identify,
    image_in_elf,
    peek,
    unpack_image,
)

BANNER = b"Linux version 6.1.0-50-arm64 (builder@host) (gcc 12) #1 SMP\n"


def bzimage(*, release=b"6.12.9-amd64 (me@here) #1", version=0x20F, is_64=True, size=4096):
    image = bytearray(1024 + size)
    image[0x1F1] = 1
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, version)
    struct.pack_into("<H", image, 0x20E, 0x100)
    image[0x300 : 0x300 + len(release)] = release
    image[0x236] = int(is_64)
    struct.pack_into("<I", image, 0x1F4, size // 16)
    return bytes(image)


def vmlinux(*, machine=62, has_pvh=True, text=BANNER):
    owner = b"Xen\0" if has_pvh else b"GNU\0"
    notes = struct.pack("<III", 4, 8, 18) + owner + bytes(8)
    header = bytearray(b"\x7fELF\x02\x01".ljust(64, b"\0"))
    struct.pack_into("<H", header, 18, machine)
    struct.pack_into("<Q", header, 0x20, 64)
    struct.pack_into("<HH", header, 0x36, 56, 2)
    body = notes + text
    load = struct.pack("<IIQQQQQQ", 1, 5, 176, 0, 0, len(body), len(body), 0)
    note = struct.pack("<IIQQQQQQ", 4, 4, 176, 0, 0, len(notes), len(notes), 4)
    return bytes(header) + load + note + body


def arm_image(*, text=BANNER):
    """An Image with the header of a PE file that has one section."""
    head = bytearray(b"MZ".ljust(0x38, b"\0") + b"ARM\x64" + struct.pack("<I", 0x40))
    pe = b"PE\0\0" + struct.pack("<HHIIIHH", 0xAA64, 1, 0, 0, 0, 0, 0)
    start = len(head) + len(pe) + 40
    section = b".text\0\0\0" + struct.pack("<IIII", len(text), 0, len(text), start) + bytes(16)
    return bytes(head) + pe + section + text


def zboot(image):
    packed = zstandard.ZstdCompressor().compress(image)
    return b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + bytes(8) + b"zstd".ljust(40, b"\0") + packed


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (bzimage(), KernelFacts(form=Form.BZIMAGE, architecture="x86_64", release="6.12.9-amd64")),
        (bzimage(is_64=False), KernelFacts(form=Form.BZIMAGE, architecture="i686", release="6.12.9-amd64")),
        (vmlinux(), KernelFacts(form=Form.VMLINUX, architecture="x86_64", release="6.1.0-50-arm64")),
        (
            vmlinux(machine=243),
            KernelFacts(form=Form.VMLINUX, architecture="riscv64", release="6.1.0-50-arm64"),
        ),
        (arm_image(), KernelFacts(form=Form.IMAGE, architecture="aarch64", release="6.1.0-50-arm64")),
    ],
)
def test_kernel_is_told_by_its_content(content, facts):
    assert identify(content) == facts


@pytest.mark.parametrize("pack", [gzip.compress, zboot])
def test_packed_image_is_looked_into(pack):
    facts = identify(pack(arm_image()))
    assert facts == KernelFacts(form=Form.PACKED_IMAGE, architecture="aarch64", release="6.1.0-50-arm64")
    assert unpack_image(pack(arm_image())) == arm_image()


WHOLE = (bzimage(), vmlinux(text=BANNER + bytes(99)), arm_image(), zboot(arm_image()))


@pytest.mark.parametrize("content", WHOLE)
def test_kernel_that_is_cut_off_is_refused_with_how_much_is_there(content):
    cut = content[:-40]
    with pytest.raises(ImageError, match=rf"cut off: \d+ bytes are needed, of which {len(cut)} are"):
        identify(cut)


@pytest.mark.parametrize("content", [*WHOLE, gzip.compress(arm_image(), mtime=0)])
def test_no_beginning_of_a_kernel_is_taken_for_one(content):
    for size in range(0, min(len(content), 0x300), 3):
        with pytest.raises(ImageError):
            identify(content[:size])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it begins with nothing"),
        (b"#!/bin/sh\n", "it is no bzImage, vmlinux or arm64 Image: it begins with 23212f62"),
        (b"QFI\xfb" + bytes(99), "it is a qcow2 disk"),
        (b"070701" + bytes(99), r"it is an initramfs \(cpio\); give it by --initrd"),
        (b"!<arch>\ndebian-binary", "it is a Debian package"),
        (b"\xfd7zXZ\0" + bytes(99), "it is packed by xz; unpack it first"),
        (vmlinux(text=b"a program of another kind"), "it is an ELF file for x86_64, but no kernel of Linux"),
        (vmlinux(has_pvh=False), "without CONFIG_PVH, which QEMU can't start; give its bzImage"),
        (gzip.compress(b"a text", mtime=0), "what is packed in it is no arm64 Image"),
        (gzip.compress(arm_image(), mtime=0)[:-30], "it is cut off: what gzip packed does not end"),
        (b"\x1f\x8bjunk", "what gzip packed is damaged"),
    ],
)
def test_anything_else_is_called_by_its_name(content, words):
    with pytest.raises(ImageError, match=words):
        identify(content)


def arm_vmlinux(image, *, machine=183, address=0xFFFF800080000000):
    """A vmlinux whose two segments are an Image, as arm64 links it."""
    middle = len(image) // 2
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, machine, 1, address, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    parts = ((0, middle), (middle, len(image) - middle))
    table = b"".join(
        struct.pack("<IIQQQQQQ", 1, 5, 0x200 + at, address + at, address + at, size, size, 4)
        for at, size in parts
    )
    return (header + table).ljust(0x200, b"\0") + image


def test_vmlinux_of_arm64_is_an_image_once_its_segments_are_laid_out():
    content = arm_vmlinux(arm_image())
    assert identify(content).form is Form.ELF_IMAGE
    assert image_in_elf(content) == arm_image()
    with pytest.raises(ImageError, match="no arm64 Image"):
        image_in_elf(arm_vmlinux(b"x" * 200))
    with pytest.raises(ImageError, match="whose segments are no Image"):
        image_in_elf(content[:32].ljust(0x200, b"\0"))


@pytest.mark.parametrize(
    "pack", [bytes, partial(gzip.compress, mtime=0), zboot], ids=["bare", "gzip", "zboot"]
)
def test_bare_image_is_without_what_packs_it(pack):
    assert bare_image(pack(arm_image())) == arm_image()
    with pytest.raises(ImageError):
        bare_image(pack(b"x" * 100))


@pytest.mark.parametrize(
    ("content", "architecture"),
    [
        (bytes(0x202) + b"HdrS", "x86_64"),
        (b"\x7fELF\2\1".ljust(18, b"\0") + b"\xf3\0", "riscv64"),
        (b"\x7fELF\1\2".ljust(18, b"\0") + b"\0\x08", "mips"),
        (b"\x7fELF\2\1", ""),
        (arm_image(), "aarch64"),
        (gzip.compress(arm_image(), mtime=0), "aarch64"),
        (zboot(arm_image()), "aarch64"),
        (b"#!/bin/sh\n", ""),
        (b"", ""),
    ],
)
def test_head_of_a_file_tells_its_architecture(content, architecture):
    assert peek(content[:HEAD]) == architecture
