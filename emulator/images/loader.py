"""Makes a disk that starts Linux through GRUB, under BIOS and UEFI, with Debian's own programs.

    sector 0       boot.img, protective MBR; then the GUID partition table
    partition 1    BIOS boot: core.img
    partition 2    FAT, EFI system: EFI/BOOT/BOOTX64.EFI, boot/vmlinuz-*, boot/initrd.img-*, boot/grub

The programs come from Debian packages, as the kernel does. They are unpacked into a temporary directory and
run with the C library of their own suite, so the build host needs none of them and can't affect the bytes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from emulator.errors import ImageError, MissingPrerequisite
from emulator.images.boot_disk import (
    BIOS_BOOT,
    EFI_SYSTEM,
    HEAD_SECTORS,
    SECTOR,
    TAIL_SECTORS,
    Partition,
    place_boot_sector,
    place_core,
    write_table,
)
from emulator.images.image import Package

_PROGRAMS = ("grub-common", "grub-efi-amd64-bin", "grub-pc-bin", "mtools")
_LIBRARIES = ("libc6", "libdevmapper1.02.1", "liblzma5", "libpcre2-8-0", "libselinux1", "libudev1")
LOADER_PACKAGES = (*_PROGRAMS, *_LIBRARIES)
"""What a disk is made with and from, apart from the kernel's packages."""

_DISK_SECTORS = 64 * 2**20 // SECTOR
_ALIGNMENT = 2048
_CORE = HEAD_SECTORS
_DISK_GUID = UUID("7474796c-6162-4000-8000-000000000000")
_CORE_PARTITION = Partition(
    kind=BIOS_BOOT,
    guid=UUID("7474796c-6162-4000-8000-000000000001"),
    label="bios",
    first=_CORE,
    last=_ALIGNMENT - 1,
)
_FILES_PARTITION = Partition(
    kind=EFI_SYSTEM,
    guid=UUID("7474796c-6162-4000-8000-000000000002"),
    label="boot",
    first=_ALIGNMENT,
    last=(_DISK_SECTORS - TAIL_SECTORS) // _ALIGNMENT * _ALIGNMENT - 1,
)
_VOLUME_ID = "7474796c"
_TIME = "1672531200"  # of every file, 2023-01-01
_BOUND_S = 60.0

# What a boot needs is in the core; the other modules are loaded from the disk on demand.
# fmt: off
_MODULES = (
    "boot", "cat", "configfile", "echo", "fat", "halt", "help", "linux", "ls", "minicmd", "normal",
    "part_gpt", "reboot", "regexp", "search", "serial", "sleep", "smbios", "terminal", "test",
)
# fmt: on
_PLATFORM_MODULES = {
    "i386-pc": ("biosdisk", "iorw", "vga_text"),
    "x86_64-efi": ("efi_gop", "font", "gfxterm", "video"),
}
# "(," is the disk that GRUB was started from.
_PREFIX = "(,gpt2)/boot/grub"


def write_disk(path: Path, files: Mapping[str, bytes], *, debs: Sequence[tuple[Package, Path]]) -> None:
    """Write a disk whose second partition holds GRUB and `files`; the same input gives the same bytes.

    Args:
        path: the disk's file.
        files: content by path in the partition: `boot/grub/grub.cfg` and the files that it names.
        debs: packages, including those of `LOADER_PACKAGES`.

    Raises:
        ImageError: a package is missing or damaged, or the files do not fit.
        MissingPrerequisite: dpkg-deb is not installed.
        OSError: the disk can't be written.
    """
    with TemporaryDirectory(dir=path.parent, prefix=".loader-") as name:
        tools = Tools(Path(name), debs)
        tree = Path(name) / "tree"
        for file, content in files.items():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_bytes(content)
        core = tools.make_core(Path(name) / "core.img", platform="i386-pc")
        efi = tree / "EFI/BOOT/BOOTX64.EFI"
        efi.parent.mkdir(parents=True)
        tools.make_core(efi, platform="x86_64-efi")
        tools.lay_out_modules(tree / "boot/grub")
        with path.open("xb") as disk:
            disk.truncate(_DISK_SECTORS * SECTOR)
        tools.fill(path, tree)
        _write_boot_parts(path, core=core, boot_image=(tools.grub / "i386-pc/boot.img").read_bytes())


def _write_boot_parts(path: Path, *, core: bytes, boot_image: bytes) -> None:
    head, tail = write_table(
        (_CORE_PARTITION, _FILES_PARTITION),
        sectors=_DISK_SECTORS,
        guid=_DISK_GUID,
        boot_sector=place_boot_sector(boot_image, core_sector=_CORE),
    )
    with path.open("r+b") as disk:
        disk.write(head)
        disk.seek(_CORE * SECTOR)
        disk.write(place_core(core, sector=_CORE, room=_ALIGNMENT - _CORE))
        disk.seek(-len(tail), 2)
        disk.write(tail)


class Tools:
    """The programs of GRUB and mtools, unpacked from `debs` into a directory, which the caller removes.

    Raises:
        ImageError: a package is missing or damaged.
        MissingPrerequisite: dpkg-deb is not installed.
    """

    def __init__(self, directory: Path, debs: Iterable[tuple[Package, Path]]) -> None:
        self._root = directory / "tools"
        self.grub = self._root / "usr/lib/grub"
        found = {package.name: path for package, path in debs}
        if missing := sorted(set(LOADER_PACKAGES) - found.keys()):
            raise ImageError(f"packages that a disk is made with are missing: {', '.join(missing)}")
        for name in LOADER_PACKAGES:
            _run(("dpkg-deb", "-x", str(found[name]), str(self._root)), environment=None)

    def make_core(self, path: Path, *, platform: str) -> bytes:
        """Write GRUB's core for `platform` to `path`, and return it; raises ImageError if that fails."""
        modules = (*_MODULES, *_PLATFORM_MODULES[platform])
        source = ("-d", str(self.grub / platform), "-O", platform)
        self._start("grub-mkimage", *source, "-p", _PREFIX, "-o", str(path), *modules)
        return path.read_bytes()

    def lay_out_modules(self, directory: Path) -> None:
        """Put what GRUB loads on demand into `directory`, which the menu calls $prefix."""
        for platform in _PLATFORM_MODULES:
            (directory / platform).mkdir(parents=True)
            for pattern in ("*.mod", "*.lst"):
                for path in (self.grub / platform).glob(pattern):
                    path.replace(directory / platform / path.name)
        (directory / "fonts").mkdir()
        (self._root / "usr/share/grub/ascii.pf2").replace(directory / "fonts/ascii.pf2")

    def fill(self, disk: Path, tree: Path) -> None:
        """Make a file system of `tree` in the second partition of `disk`; raises ImageError if that fails."""
        start = _FILES_PARTITION.first
        sectors = _FILES_PARTITION.last - start + 1
        image = ("-i", f"{disk}@@{start * SECTOR}")
        shape = ("-T", str(sectors), "-H", str(start), "-h", "64", "-s", "32", "-c", "4", "-N", _VOLUME_ID)
        self._start("mtools", "-c", "mformat", *image, *shape, "-v", "TTYLAB", "::")
        # In the order of names: the order of the host's file system differs from host to host.
        for directory in sorted(path for path in (tree, *tree.rglob("*")) if path.is_dir()):
            inside = f"::/{directory.relative_to(tree).as_posix()}"
            if directory != tree:
                self._start("mtools", "-c", "mmd", *image, inside)
            files = sorted(str(path) for path in directory.iterdir() if path.is_file())
            if files:
                self._start("mtools", "-c", "mcopy", *image, *files, inside)

    def _start(self, program: str, *arguments: str) -> None:
        libraries = [self._root / folder / "x86_64-linux-gnu" for folder in ("lib", "usr/lib")]
        linker = next(path / "ld-linux-x86-64.so.2" for path in libraries if (path / "libc.so.6").exists())
        search = ":".join(str(path) for path in libraries)
        argv = (str(linker), "--library-path", search, str(self._root / "usr/bin" / program), *arguments)
        environment = {"GCONV_PATH": str(libraries[1] / "gconv"), "LC_ALL": "C", "TZ": "UTC"}
        _run(argv, environment=environment | {"MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": _TIME})


def _run(argv: tuple[str, ...], *, environment: Mapping[str, str] | None) -> None:
    words = argv[:2] if argv[0] == "dpkg-deb" else argv[3:6]  # without the linker that starts it
    shown = " ".join(Path(word).name for word in words)
    try:
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_BOUND_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise MissingPrerequisite(argv[0], remedy="apt-get install dpkg") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{shown}: no end after {_BOUND_S:.0f} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").splitlines() or ["no message"]
        raise ImageError(f"{shown} failed: {lines[-1]}")
