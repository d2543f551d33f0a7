"""What a kernel's file is: its form, its architecture, its release. Pure.

Sources: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst, and
drivers/firmware/efi/libstub/zboot-header.S of Linux.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from emulator.errors import ImageError
from emulator.guest_text.linux import BEGINS
from emulator.kernel_files.vmlinux import PT_LOAD, decompress, has_pvh_entry, segments

Content: TypeAlias = bytes
"""A whole file, or the map of one: nothing is copied but what is looked at."""


class Form(StrEnum):
    """How a kernel is packed."""

    BZIMAGE = "bzImage"
    VMLINUX = "vmlinux"
    IMAGE = "Image"
    PACKED_IMAGE = "packed Image"
    """An arm64 Image that is compressed: by gzip, or as EFI's zboot."""
    ELF_IMAGE = "vmlinux with an Image"
    """A vmlinux for arm64, whose segments are an Image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """What a kernel's file tells: architecture and release (may be empty) are as `uname -m` and `-r` say."""

    form: Form
    architecture: str
    release: str = ""


_ELF_MACHINES = {
    3: "i686",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}
_ELF64_LITTLE = b"\x02\x01"
_IMAGE_MAGIC = b"ARM\x64"
_IMAGE_MOST = 1 << 30
_RELEASE = re.compile(BEGINS + rb"([\x21-\x7e]{1,64}) \(")
_OTHERS = (
    (b"\xfd7zXZ\0", "it is packed by xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is packed by zstd; unpack it first"),
    (b"!<arch>\ndebian", "it is a Debian package; the kernel is inside, in boot/"),
    (b"070701", "it is an initramfs (cpio); give it by --initrd"),
    (b"QFI\xfb", "it is a qcow2 disk"),
    (b"\x27\x05\x19\x56", "it is a U-Boot uImage; the kernel is inside"),
    (b"\xd0\x0d\xfe\xed", "it is a device tree or a FIT image"),
)


HEAD = 0x240
"""Bytes of a kernel's file that tell its form and architecture."""


def form_of(head: Content) -> Form | None:
    """Return what a file means to be by its first HEAD bytes, VMLINUX for every ELF file; None: no kernel."""
    if head[0x202:0x206] == b"HdrS":
        return Form.BZIMAGE
    if head[:4] == b"\x7fELF":
        return Form.VMLINUX
    if head[0x38:0x3C] == _IMAGE_MAGIC:
        return Form.IMAGE
    return Form.PACKED_IMAGE if head[:2] == b"\x1f\x8b" or head[4:8] == b"zimg" else None


def identify(content: Content) -> KernelFacts:
    """Return what the content of a kernel's file tells; the ImageError for any other says what it is."""
    form = form_of(content)
    if form is None:
        what = next((text for magic, text in _OTHERS if content[: len(magic)] == magic), "")
        begins = content[:4].hex() or "nothing"
        raise ImageError(what or f"it is no bzImage, vmlinux or arm64 Image: it begins with {begins}")
    read = {Form.BZIMAGE: _bzimage, Form.VMLINUX: _elf, Form.IMAGE: _image, Form.PACKED_IMAGE: _packed}
    try:
        return read[form](content)
    except (struct.error, IndexError) as error:
        raise ImageError(f"it is cut off: it has {len(content)} bytes, less than its header") from error


def peek(head: Content) -> str:
    """Return the architecture of the kernel whose file begins with `head`; empty if that does not tell.

    What gzip packed is taken for arm64's: QEMU starts no other such kernel.
    """
    form = form_of(head)
    if form is Form.VMLINUX:
        return _elf_architecture(head) if len(head) >= 20 else ""
    if form is Form.BZIMAGE:
        return "x86_64"
    return "aarch64" if form else ""


def _elf_architecture(head: Content) -> str:
    (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return _ELF_MACHINES.get(machine, f"ELF machine {machine}")


def _bzimage(content: Content) -> KernelFacts:
    version, pointer = struct.unpack_from("<H6xH", content, 0x206)
    text = content[0x200 + pointer : 0x200 + pointer + 64] if pointer else b""
    release = text.split(b"\0", 1)[0].split(b" ", 1)[0].decode("ascii", "replace")
    is_64 = version >= 0x20C and content[0x236] & 1
    sectors = content[0x1F1] or 4
    if version >= 0x204:  # syssize is the size of what follows the set-up code, in 16 bytes
        (paragraphs,) = struct.unpack_from("<I", content, 0x1F4)
        _require_whole(content, (sectors + 1) * 512 + paragraphs * 16 - 15)
    return KernelFacts(form=Form.BZIMAGE, architecture="x86_64" if is_64 else "i686", release=release)


def _elf(content: Content) -> KernelFacts:
    if len(content) < 64:
        raise ImageError("it is cut off: an ELF file without a header")
    architecture = _elf_architecture(content)
    release = _release_in(content)
    if not release:
        raise ImageError(f"it is an ELF file for {architecture}, but no kernel of Linux")
    if content[4:6] == _ELF64_LITTLE:
        try:
            end = max((offset + size for _, offset, size, _ in segments(content)), default=0)
        except struct.error:
            end = len(content) + 1
        _require_whole(content, end)
    if architecture == "x86_64" and not has_pvh_entry(content):
        raise ImageError("it is a vmlinux without CONFIG_PVH, which QEMU can't start; give its bzImage")
    form = Form.ELF_IMAGE if architecture == "aarch64" else Form.VMLINUX
    return KernelFacts(form=form, architecture=architecture, release=release)


def image_in_elf(content: Content) -> bytes:
    """Return the Image that a vmlinux for arm64 is linked as, which QEMU can't start; raises ImageError.

    It is what `objcopy -O binary` makes of it (arch/arm64/boot/Makefile).
    """
    try:
        parts = [one[1:] for one in segments(content) if one[0] == PT_LOAD and one[2]]
    except struct.error as error:
        raise ImageError(f"it is a damaged ELF file: {error}") from error
    start = min((address for _, _, address in parts), default=0)
    end = max((address + size for _, size, address in parts), default=0)
    if not 0 < end - start <= _IMAGE_MOST:
        raise ImageError("it is a vmlinux for aarch64 whose segments are no Image; give its Image")
    image = bytearray(end - start)
    for offset, size, address in parts:
        image[address - start : address - start + size] = content[offset : offset + size]
    return bare_image(bytes(image))


def _require_whole_image(content: Content) -> None:
    """Refuse an Image that ends before its sections do, if it is a PE file too (CONFIG_EFI)."""
    if content[:2] != b"MZ":
        return
    (start,) = struct.unpack_from("<I", content, 0x3C)
    count, optional = struct.unpack_from("<H12xH", content, start + 6)
    first = start + 24 + optional
    sections = (struct.unpack_from("<II", content, first + 40 * number + 16) for number in range(count))
    _require_whole(content, max((size + offset for size, offset in sections), default=first))


def _require_whole(content: Content, needed: int) -> None:
    if len(content) < needed:
        raise ImageError(f"it is cut off: {needed} bytes are needed, of which {len(content)} are there")


def bare_image(content: Content) -> bytes:
    """Return an arm64 Image without what packs it; raises ImageError if there is none whole."""
    image = unpack_image(content) if form_of(content) is Form.PACKED_IMAGE else content
    if image[0x38:0x3C] != _IMAGE_MAGIC:
        raise ImageError("it is no arm64 Image, nor is one packed in it")
    _require_whole_image(image)
    return bytes(image)


def _packed(content: Content) -> KernelFacts:
    image = unpack_image(content)
    if image[0x38:0x3C] != _IMAGE_MAGIC:
        raise ImageError("what is packed in it is no arm64 Image")
    return KernelFacts(form=Form.PACKED_IMAGE, architecture="aarch64", release=_release_in(image))


def _image(content: Content) -> KernelFacts:
    _require_whole_image(content)
    return KernelFacts(form=Form.IMAGE, architecture="aarch64", release=_release_in(content))


def unpack_image(content: Content) -> bytes:
    """Return the Image in a gzip file or in an EFI zboot file; raises ImageError if there is none whole."""
    if content[4:8] == b"zimg":
        start, size = struct.unpack_from("<II", content, 8)
        _require_whole(content, start + size)
        return decompress(content[start : start + size])
    unpacker = zlib.decompressobj(wbits=31)
    try:
        image = unpacker.decompress(content)
    except zlib.error as error:
        raise ImageError(f"what gzip packed is damaged: {error}") from error
    if not unpacker.eof:
        raise ImageError(f"it is cut off: what gzip packed does not end in its {len(content)} bytes")
    return image


def _release_in(content: Content) -> str:
    found = _RELEASE.search(content)
    return found[1].decode("ascii") if found else ""
