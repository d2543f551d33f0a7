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
from emulator.kernel_files.vmlinux import decompress, has_pvh_entry, segments

Content: TypeAlias = bytes
"""A whole file, or the map of one: nothing is copied but what is looked at."""


class Form(StrEnum):
    """How a kernel is packed."""

    BZIMAGE = "bzImage"
    VMLINUX = "vmlinux"
    IMAGE = "Image"
    PACKED_IMAGE = "packed Image"
    """An arm64 Image that is compressed: by gzip, or as EFI's zboot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """What a kernel's file tells of it.

    Attributes:
        form: how it is packed.
        architecture: as `uname -m` says it: "x86_64", "aarch64".
        release: as `uname -r` says it, "6.1.0-50-cloud-amd64"; empty if the file does not tell.
    """

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


def identify(content: Content) -> KernelFacts:
    """Return what the content of a kernel's file tells.

    Raises:
        ImageError: it is no kernel, is cut off, or can't be started by QEMU; the text says what it is.
    """
    try:
        return _identify(content)
    except (struct.error, IndexError) as error:
        raise ImageError(f"it is cut off: it has {len(content)} bytes, less than its header") from error


def _identify(content: Content) -> KernelFacts:
    if content[0x202:0x206] == b"HdrS":
        return _bzimage(content)
    if content[:4] == b"\x7fELF":
        return _elf(content)
    if content[0x38:0x3C] == b"ARM\x64":
        _require_whole_image(content)
        return KernelFacts(form=Form.IMAGE, architecture="aarch64", release=_release_in(content))
    if content[:2] == b"\x1f\x8b" or content[4:8] == b"zimg":
        return identify_packed(content)
    what = next((text for magic, text in _OTHERS if content[: len(magic)] == magic), "")
    begins = content[:4].hex() or "nothing"
    raise ImageError(what or f"it is no bzImage, vmlinux or arm64 Image: it begins with {begins}")


def _bzimage(content: Content) -> KernelFacts:
    (pointer,) = struct.unpack_from("<H", content, 0x20E)
    (version,) = struct.unpack_from("<H", content, 0x206)
    text = content[0x200 + pointer : 0x200 + pointer + 64] if pointer else b""
    release = text.split(b"\0", 1)[0].split(b" ", 1)[0].decode("ascii", "replace")
    is_64 = version >= 0x20C and content[0x236] & 1
    sectors = content[0x1F1] or 4
    if version >= 0x204:  # syssize is the size of what follows the set-up code, in 16 bytes
        (paragraphs,) = struct.unpack_from("<I", content, 0x1F4)
        needed = (sectors + 1) * 512 + paragraphs * 16 - 15
        _require_whole(content, needed)
    return KernelFacts(form=Form.BZIMAGE, architecture="x86_64" if is_64 else "i686", release=release)


def _elf(content: Content) -> KernelFacts:
    if len(content) < 64:
        raise ImageError("it is cut off: an ELF file without a header")
    (machine,) = struct.unpack_from("<H" if content[5] == 1 else ">H", content, 18)
    architecture = _ELF_MACHINES.get(machine, f"ELF machine {machine}")
    release = _release_in(content)
    if not release:
        raise ImageError(f"it is an ELF file for {architecture}, but no kernel of Linux")
    if content[4:6] == _ELF64_LITTLE:
        _require_whole(content, _end_of_segments(content))
    if architecture == "x86_64" and not has_pvh_entry(content):
        raise ImageError("it is a vmlinux without CONFIG_PVH, which QEMU can't start; give its bzImage")
    return KernelFacts(form=Form.VMLINUX, architecture=architecture, release=release)


def _end_of_segments(content: Content) -> int:
    try:
        return max((offset + size for _, offset, size in segments(content)), default=0)
    except struct.error:
        return len(content) + 1


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


def identify_packed(content: Content) -> KernelFacts:
    """Return what a compressed arm64 Image tells; raises as `identify`."""
    image = unpack_image(content)
    if image[0x38:0x3C] != b"ARM\x64":
        raise ImageError("what is packed in it is no arm64 Image")
    return KernelFacts(form=Form.PACKED_IMAGE, architecture="aarch64", release=_release_in(image))


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
