"""A built Linux image: its files on disk, its manifest as JSON, and the machine that boots it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from emulator.errors import ImageError, SpecError
from emulator.files import read_whole, write_whole
from emulator.guest_text.linux import LinuxProfile
from emulator.machine.architectures import ARCHITECTURES, architecture_of, board_of, feature_of
from emulator.machine.architectures.parts import Architecture
from emulator.machine.spec import Board, Disk, Firmware, MachineSpec, MachineType
from emulator.sac.image import SacConsole
from emulator.sac.knobs import SacKnobs
from emulator.values import json_ready, load_json, parse_json, read_value

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_MOST = 16 << 20
"""Bytes of a manifest; a real one has some 10 KB."""
_BLOCK = 512  # of `st_blocks`
BZIMAGE, VMLINUX, INITRD = "bzimage", "vmlinux", "initrd"
"""The kernel as its package has it, its fast form where there is one, and the initramfs."""
DISK = "disk.img"
"""What an image with a disk has as well."""
FILES = (BZIMAGE, VMLINUX, INITRD, DISK)
"""What an image may have."""
Progress = Callable[[str, float], None]
"""Is told the stage, and the fraction of the whole that is done, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Debian package.

    Attributes:
        name: its name.
        version: its Debian version.
        sha256: of the .deb.
        architecture: "amd64", "arm64", or "all".
    """

    name: str
    version: str
    sha256: str
    architecture: str = "amd64"

    @property
    def file_name(self) -> str:
        """Return the name that apt gives to the .deb."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A guest image that was built, and from what: its manifest, and where its files are.

    The same input gives the same manifest, which is all but the directory.

    Attributes:
        name: "bookworm".
        suite: Debian suite.
        flavour: "cloud" or "generic".
        kernel_request: the catalog's "kernel".
        kernel_version: Debian version, "6.1.176-1".
        kernel_release: `uname -r`, "6.1.0-50-cloud-amd64".
        modules: features of the guest, loadable or built in ("i6300esb", "pvpanic", "spin"), sorted.
        packages: Debian packages that it was made from, sorted by name.
        recipe: hash of the recipe.
        sha256: hashes of its files by name: those of `FILES` that it has.
        format: version of the manifest's own format.
        directory: where the files are.
    """

    name: str
    suite: str
    flavour: str
    kernel_request: str
    kernel_version: str
    kernel_release: str
    modules: tuple[str, ...]
    packages: tuple[Package, ...]
    recipe: str
    sha256: Mapping[str, str]
    format: int = FORMAT
    directory: Path

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files; the kernel and the initramfs it must have."""
        return tuple(name for name in FILES if name in {*self.sha256, BZIMAGE, INITRD})

    @property
    def architecture(self) -> Architecture:
        """What its machines are: that of its packages."""
        found = {package.architecture for package in self.packages}
        return next((one for one in ARCHITECTURES if one.debian in found), ARCHITECTURES[0])

    @property
    def bzimage(self) -> Path:
        """Kernel for firmware that boots EFI or Linux images: on arm64 an Image."""
        return self.directory / BZIMAGE

    @property
    def vmlinux(self) -> Path:
        """On x86 the same kernel uncompressed, with the PVH entry that SeaBIOS and qboot start."""
        return self.directory / (VMLINUX if VMLINUX in self.files else BZIMAGE)

    @property
    def initrd(self) -> Path:
        """Its initramfs."""
        return self.directory / INITRD

    @property
    def disk(self) -> Path | None:
        """Raw disk that boots through GRUB under BIOS and UEFI; None if it has none."""
        return self.directory / DISK if DISK in self.files else None

    def to_json(self) -> str:
        """Return the manifest as it stands in its file."""
        table = {name: value for name, value in json_ready(self).items() if name != "directory"}
        return json.dumps(table, indent=2, sort_keys=True) + "\n"

    @property
    def features(self) -> frozenset[str]:
        """What it offers to scenarios: its modules, and its architecture."""
        return frozenset(self.modules) | feature_of(self.architecture)

    @property
    def usual_board(self) -> Board:
        """The usual one of its architecture: a PC under SeaBIOS."""
        return usual_board(self.architecture)

    @property
    def boot_timeout_s(self) -> float:
        """No limit but that of the scenario."""
        return 0.0

    def linux_console(self) -> LinuxProfile:
        """Return what the guest of images/linux shows."""
        return LinuxProfile()

    def spec(self, board: Board) -> MachineSpec:
        """Return a machine that boots it with the board's words on its command line; see `linux_spec`."""
        return linux_spec(self, board)

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return the kernel parameter that sets its host name."""
        return (f"ttylab.hostname={host_name}",)

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Refuse: Linux has no SAC."""
        del knobs
        raise SpecError(f"image {self.name} has no SAC")

    @property
    def size(self) -> int:
        """Bytes that the files take together; the holes of the disk don't count."""
        plain = sum(path.stat().st_size for path in {self.bzimage, self.vmlinux, self.initrd})
        return plain + (self.disk.stat().st_blocks * _BLOCK if self.disk else 0)

    def provenance(self) -> dict[str, object]:
        """Return what the guest was made from, ready for JSON: for reports."""
        return {
            "name": self.name,
            "suite": self.suite,
            "flavour": self.flavour,
            "architecture": self.architecture.name,
            "kernel_version": self.kernel_version,
            "kernel_release": self.kernel_release,
            "sha256": dict(self.sha256),
            "packages": json_ready(self.packages),
            "modules": list(self.modules),
        }


def read_image(directory: Path) -> Image:
    """Return a built image by its manifest; raises ImageError if that is missing or damaged."""
    path = directory / MANIFEST
    try:
        table = load_json(read_whole(path, most=MANIFEST_MOST), dict[str, object], origin=str(path))
        return read_value(table | {"directory": directory}, Image, origin=str(path), whole=True)
    except OSError as error:
        raise ImageError(f"{path}: can't be read: {error.strerror}") from error
    except SpecError as error:
        raise ImageError(f"damaged manifest: {str(error).splitlines()[0]}") from error


def find_wrong_files(image: Image) -> list[str]:
    """Return a line for each file that is missing or has another hash; reads every byte."""
    problems: list[str] = []
    for name in image.files:
        path, built = image.directory / name, image.sha256.get(name, "no hash")
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif (found := hash_file(path)) != built:
            problems.append(f"{path} has sha256 {found[:16]}, built with {built[:16]}")
    return problems


def is_sealed(directory: Path) -> bool:
    """Tell whether the files are untouched since `seal`; their content is not read.

    A copied or restored directory is not sealed, though its files may be intact: hash them, then seal it.
    """
    try:
        text = read_whole(directory / "seal.json", most=MANIFEST_MOST)
        return bool(parse_json(text, origin="seal.json") == _facts(directory))
    except (OSError, SpecError):
        return False


def seal(directory: Path) -> None:
    """Record sizes and change times of files that were just written or hashed; raises FileError, OSError."""
    write_whole(directory / "seal.json", json.dumps(_facts(directory)).encode())


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _facts(directory: Path) -> dict[str, list[int]]:
    facts: dict[str, list[int]] = {}
    there = [name for name in FILES if name in {BZIMAGE, INITRD} or (directory / name).exists()]
    for name in (*there, MANIFEST):
        status = (directory / name).stat()
        facts[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return facts


def usual_board(
    architecture: Architecture, *, machine: str | None = None, firmware: str | None = None, who: str = ""
) -> Board:
    """Return what a guest boots on as far as it names none; the SpecError for an unknown one has `who`."""
    try:
        board = board_of(MachineType(machine)) if machine else architecture.boards[0]
        return Board(machine=board.machine, firmware=Firmware(firmware) if firmware else board.firmwares[0])
    except ValueError as error:
        raise SpecError(f"{who}: {error}") from None


def require_architecture(image: str, architecture: Architecture, machine: MachineType) -> None:
    """Refuse a machine of another architecture than an image's; raises SpecError."""
    if (other := architecture_of(machine)) is not architecture:
        boards = " ".join(board.machine for board in architecture.boards)
        allowed = f"{boards} for {image}, which is {architecture.name}"
        raise SpecError(f"machine is {machine}, which is {other.name}; allowed: {allowed}")


class LinuxFiles(Protocol):
    """What a Linux image is started from."""

    @property
    def bzimage(self) -> Path:
        """The kernel as a bootloader takes it, with the EFI stub: on x86 a bzImage, on arm64 an Image."""

    @property
    def vmlinux(self) -> Path:
        """The form that is started fastest without UEFI: on x86 the ELF with the PVH note."""

    @property
    def name(self) -> str:
        """The image's name."""

    @property
    def architecture(self) -> Architecture:
        """What its machines must be."""

    @property
    def initrd(self) -> Path | None:
        """Its initramfs."""

    @property
    def disk(self) -> Path | None:
        """A disk that it boots from, through a loader of ours; None starts the kernel."""


def linux_spec(image: LinuxFiles, board: Board, *, memory_mib: int | None = None) -> MachineSpec:
    """Return a machine that boots a Linux image with the board's words on its command line.

    An image with a disk boots from it: GRUB asks on ttyS0 and on the screen for 5 s, or for as long as the
    word `ttylab.grub_timeout=N` says. Each machine writes to its own view of the disk, which is dropped when
    QEMU ends; the store's file is never written. SeaBIOS shows its output on ttyS0, as OVMF always does. A
    microvm can't have a disk and starts the same kernel directly.

    UEFI starts a kernel through its EFI stub, which only the bzImage has. SeaBIOS takes both forms, and the
    ELF saves the decompression: 3.3 s instead of 3.4 s for 6.1, 3.6 s instead of 4.7 s for 6.12
    (docs/facts/qemu.md 2, QEMU 7.2 under TCG).

    Everything else has its default; `dataclasses.replace` changes it.

    Raises:
        SpecError: there is no such machine, it is of another architecture than the image, or GRUB would not
            pass a word on unchanged.
    """
    require_architecture(image.name, image.architecture, board.machine)
    disk = image.disk if board_of(board.machine).has_pci else None
    console = image.architecture.console_words if disk is None else ()
    kernel = image.bzimage if board.firmware.is_uefi else image.vmlinux
    spec = MachineSpec(
        name=board.name or image.name,
        machine=board.machine,
        firmware=board.firmware,
        kernel=kernel if disk is None else None,
        initrd=image.initrd if disk is None else None,
        disks=() if disk is None else (Disk(path=disk, discard_writes=True),),
        firmware_on_serial=disk is not None and not board.firmware.is_uefi,
        tell_tsc=image.architecture.tells_tsc,
        generation_id=board_of(board.machine).generation_id,
        smbios=board.smbios,
        command_line=(*console, *image.architecture.kernel_words, *board.words),
    )
    return spec if memory_mib is None else replace(spec, memory_mib=memory_mib)
