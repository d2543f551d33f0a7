"""What strangers bring: their own initramfs, a disk with GRUB, a VHD, a cloud image, of Debian's packages.

Nothing of ttylab's guests is in them: no file of `images/linux`, no word of its kernel lines.
"""

import gzip
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from emulator.images.build import read_files
from emulator.images.image import Image, Package
from emulator.images.loader import write_disk
from emulator.images.store import ImageStore
from emulator.kernel_files import cpio

PASSWORD = "s3cret"
_HASH = "$6$stranger$5s6l99jDE0rBh2XH..kRu534Z/DLHoF8pedDUe3pE/WYhpdNVfnr8TSQbZTaLmEtH4Sl7KUxV4hj2vv0OG9FY."
_INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
hostname stranger
exec /bin/init
"""
_INITTAB = b"ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100\n::ctrlaltdel:/bin/reboot\n"
_ALPINE = (
    cpio.file("etc/profile", b"export PATH=/bin\nexport PS1='\\h:\\w\\$ '\n"),
    cpio.file("etc/issue", b"Welcome to Alpine Linux 3.20\nKernel \\r on an \\m (\\l)\n\n"),
)
"""What a person sees of Alpine before and after logging in; an initramfs of one's own has no such files."""
# As cloud images have it: on a busy host an emulated timer can miss what the kernel checks.
_MENU = b"""serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=1
menuentry "a stranger's Linux" {
    linux /boot/vmlinuz console=tty0 console=ttyS0,115200 no_timer_check
    initrd /boot/initrd.img
}
"""


@cache
def debs(image: str) -> tuple[Image, list[tuple[Package, Path]]]:
    store = ImageStore()
    made = store.ensure(image)
    return made, [(package, store._deb(package)) for package in made.packages]


def kernel(path: Path, *, suite: str = "trixie") -> Path:
    """Copy the kernel of another Debian version to `path`, as a package or a build leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(debs(suite)[0].bzimage, path)
    return path


def initramfs(path: Path) -> Path:
    """Write a root file system of busybox alone, with a login prompt for root, whose password is PASSWORD."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(cpio.write_archive(nodes()), mtime=0))
    return path


def nodes() -> list[cpio.Node]:
    found = [
        read_files(deb, re.compile(r"(usr/)?bin/busybox").fullmatch)
        for package, deb in debs("bookworm")[1]
        if package.name == "busybox-static"
    ]
    (busybox,) = found[0].values()
    return [
        *map(cpio.directory, ("dev", "proc", "sys", "tmp", "root")),
        cpio.character_device("dev/console", 5, 1),
        cpio.file("bin/busybox", busybox, 0o755),
        cpio.file("init", _INIT, 0o755),
        cpio.file("etc/inittab", _INITTAB),
        cpio.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        cpio.file("etc/group", b"root:x:0:\n"),
        cpio.file("etc/shadow", f"root:{_HASH}:19000:0:99999:7:::\n".encode(), 0o600),
    ]


def grub_disk(path: Path, *, initrd: bytes = b"") -> Path:
    """Write a qcow2 that boots through GRUB, under BIOS and UEFI."""
    image, packages = debs("bookworm-grub")
    files = {
        "boot/grub/grub.cfg": _MENU,
        "boot/vmlinuz": image.bzimage.read_bytes(),
        "boot/initrd.img": initrd or gzip.compress(cpio.write_archive([*nodes(), *_ALPINE]), mtime=0),
    }
    raw = path.with_suffix(".raw")
    write_disk(raw, files, debs=packages)
    _convert(raw, path, "qcow2")
    raw.unlink()
    return path


def vhd_of(disk: Path, path: Path) -> Path:
    """Convert a qcow2 to what Azure keeps: a VHD of fixed size."""
    return _convert(disk, path, "vpc", "-o", "subformat=fixed,force_size=on")


def _convert(source: Path, target: Path, kind: str, *options: str) -> Path:
    subprocess.run(["qemu-img", "convert", "-O", kind, *options, source, target], check=True, timeout=60)
    return target
