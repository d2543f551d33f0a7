"""The value that the store hands out: one guest image on disk, and its manifest as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.errors import ImageError, SpecError
from emulator.files import write_whole
from emulator.images.package import Package
from emulator.machine.spec import Board, Disk, Firmware, MachineSpec, MachineType, kernel_for
from emulator.sac.image import SacConsole
from emulator.sac.knobs import SacKnobs
from emulator.values import json_ready, load_json

FORMAT = 1
_BLOCK = 512  # of `st_blocks`
FILES = ("bzimage", "vmlinux", "initrd")
"""What every image has."""
DISK = "disk.img"
"""What an image with a disk has besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was built, from what; the same input gives the same manifest.

    Attributes:
        name: image name.
        suite: Debian suite.
        flavour: kernel flavour.
        kernel_request: the catalog's "kernel".
        kernel_version: Debian version of the kernel.
        kernel_release: `uname -r`.
        modules: features that the guest offers, sorted.
        packages: what it was made from, sorted by name.
        recipe: hash of the recipe.
        sha256: of each file, by its name: those in `FILES`, and `DISK` if there is one.
        format: of the manifest itself.
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

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the image's files."""
        return (*FILES, DISK) if DISK in self.sha256 else FILES

    def to_json(self) -> str:
        """Return the manifest's file."""
        return json.dumps(json_ready(self), indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A guest image that can be booted.

    Attributes:
        name: "bookworm".
        suite: Debian suite.
        flavour: "cloud" or "generic".
        kernel_version: Debian version, "6.1.176-1".
        kernel_release: `uname -r`, "6.1.0-50-cloud-amd64".
        bzimage: kernel for firmware that boots EFI or Linux images.
        vmlinux: the same kernel uncompressed, with the PVH entry that SeaBIOS and qboot start.
        initrd: initramfs.
        sha256: of bzimage, vmlinux, initrd and disk.img.
        packages: Debian packages that it was made from.
        modules: features of the guest, loadable or built in ("i6300esb", "pvpanic", "spin").
        directory: where the files are.
        disk: raw disk that boots through GRUB under BIOS and UEFI; None if the image has none.
    """

    name: str
    suite: str
    flavour: str
    kernel_version: str
    kernel_release: str
    bzimage: Path
    vmlinux: Path
    initrd: Path
    sha256: Mapping[str, str]
    packages: tuple[Package, ...]
    modules: frozenset[str]
    directory: Path
    disk: Path | None = None

    @property
    def features(self) -> frozenset[str]:
        """What it offers to scenarios: its modules."""
        return self.modules

    @property
    def usual_board(self) -> Board:
        """A PC under SeaBIOS."""
        return Board(machine=MachineType.PC, firmware=Firmware.SEABIOS)

    @property
    def boot_timeout_s(self) -> float:
        """As long as scenarios allow."""
        return 0.0

    def spec(self, board: Board) -> MachineSpec:
        """Return a machine that boots it with the board's words on its command line; as `linux_spec`."""
        plain = linux_spec(
            self, machine=board.machine, firmware=board.firmware, words=board.words, name=board.name
        )
        return plain if board.uuid is None else replace(plain, smbios=(("uuid", board.uuid),))

    def named(self, host_name: str) -> tuple[str, ...]:
        """Return the word that gives it a host name."""
        return (f"ttylab.hostname={host_name}",)

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Refuse: Linux has no SAC."""
        del knobs
        raise SpecError(f"image {self.name} has no SAC")

    def write_disk(self, path: Path) -> None:
        """Refuse: its disk is the store's, and each machine writes to a view of its own."""
        raise SpecError(f"image {self.name}: {path} can't be a disk of its own; only the SAC guest has one")

    @property
    def size(self) -> int:
        """Return the bytes of the files together; of a disk those without its holes."""
        plain = sum(path.stat().st_size for path in (self.bzimage, self.vmlinux, self.initrd))
        return plain + (self.disk.stat().st_blocks * _BLOCK if self.disk else 0)

    def provenance(self) -> dict[str, object]:
        """Return, ready for JSON, what the guest was made from: for reports."""
        return {
            "name": self.name,
            "suite": self.suite,
            "flavour": self.flavour,
            "kernel_version": self.kernel_version,
            "kernel_release": self.kernel_release,
            "sha256": dict(self.sha256),
            "packages": json_ready(self.packages),
            "modules": sorted(self.modules),
        }


def image_of(manifest: Manifest, directory: Path) -> Image:
    """Return the image that `manifest` describes and whose files are in `directory`."""
    return Image(
        name=manifest.name,
        suite=manifest.suite,
        flavour=manifest.flavour,
        kernel_version=manifest.kernel_version,
        kernel_release=manifest.kernel_release,
        bzimage=directory / "bzimage",
        vmlinux=directory / "vmlinux",
        initrd=directory / "initrd",
        sha256=manifest.sha256,
        packages=manifest.packages,
        modules=frozenset(manifest.modules),
        directory=directory,
        disk=directory / DISK if DISK in manifest.files else None,
    )


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a built image.

    Raises:
        ImageError: there is none, or it is damaged.
    """
    path = directory / "manifest.json"
    try:
        return load_json(path.read_bytes(), Manifest, origin=str(path), whole=True)
    except OSError as error:
        raise ImageError(f"{path}: can't be read: {error}") from error
    except SpecError as error:
        raise ImageError(f"damaged manifest: {error}") from error


def find_wrong_files(manifest: Manifest, directory: Path) -> list[str]:
    """Return a line for each file that is missing or has another hash; reads every byte."""
    problems: list[str] = []
    for name in manifest.files:
        path, built = directory / name, manifest.sha256.get(name, "no hash")
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif (found := hash_file(path)) != built:
            problems.append(f"{path} has sha256 {found[:16]}, built with {built[:16]}")
    return problems


def is_sealed(directory: Path) -> bool:
    """Tell whether nobody has written to the files since `seal`; reads no content.

    A copied or restored directory is not sealed, though it may be right: hash it then, and seal it.
    """
    try:
        return bool(json.loads((directory / "seal.json").read_text(encoding="utf-8")) == _facts(directory))
    except (OSError, ValueError):
        return False


def seal(directory: Path) -> None:
    """Note sizes and change times of the files, which have just been written or hashed.

    Raises:
        FileError: the note can't be written.
        OSError: a file is missing.
    """
    write_whole(directory / "seal.json", json.dumps(_facts(directory)).encode())


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _facts(directory: Path) -> dict[str, list[int]]:
    facts: dict[str, list[int]] = {}
    disk = (DISK,) if (directory / DISK).exists() else ()
    for name in (*FILES, *disk, "manifest.json"):
        status = (directory / name).stat()
        facts[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return facts


CONSOLE_ARGS = ("console=ttyS0,115200",)
FAST_ARGS = ("no_timer_check", "cryptomgr.notests")
"""What a guest whose command line is ours may leave out: 0.5 s of a boot under TCG (docs/facts/qemu.md 2)."""


def linux_spec(
    image: Image, *, machine: MachineType, firmware: Firmware, words: Iterable[str] = (), name: str = ""
) -> MachineSpec:
    """Return a machine that boots a Linux image of ours with `words` on its command line.

    An image with a disk boots from it: GRUB asks on ttyS0 and on the screen for 5 s, or for as long as the
    word `ttylab.grub_timeout=N` says. Each machine writes to a view of its own, which ends with QEMU; the
    store's file is never written. SeaBIOS shows itself on ttyS0, as OVMF always does. A microvm, which can
    have no disk, starts the same kernel directly.

    Everything else has its default; `dataclasses.replace` changes it.

    Raises:
        SpecError: there is no such machine, or GRUB would not hand on a word as it is.
    """
    if image.disk is not None and machine is not MachineType.MICROVM:
        return MachineSpec(
            name=name or image.name,
            machine=machine,
            firmware=firmware,
            disks=(Disk(path=image.disk, discard_writes=True),),
            firmware_on_serial=not firmware.is_uefi,
            tell_tsc=True,
            generation_id=True,
            command_line=(*FAST_ARGS, *words),
        )
    return MachineSpec(
        name=name or image.name,
        machine=machine,
        firmware=firmware,
        kernel=kernel_for(image, firmware),
        initrd=image.initrd,
        tell_tsc=True,
        generation_id=machine is not MachineType.MICROVM,
        command_line=(*CONSOLE_ARGS, *FAST_ARGS, *words),
    )
