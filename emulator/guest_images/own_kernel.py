"""A kernel that a user brings, alone or with an initramfs, as an image."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from emulator.errors import ImageError, SpecError
from emulator.files import require_regular
from emulator.guest_images.hashes import hash_once, keep_file
from emulator.guest_images.own_initrd import OwnModules, compose_initrd, read_modules
from emulator.guest_images.own_profile import OwnGuest, profile_of
from emulator.guest_text.linux import LinuxProfile
from emulator.guest_text.printable import visible
from emulator.images.image import linux_spec, usual_board
from emulator.images.recipe import load_recipe
from emulator.images.store import ImageStore
from emulator.kernel_files.identify import Form, KernelFacts, bare_image, identify, image_in_elf
from emulator.kernel_files.initramfs import kernel_releases
from emulator.kernel_files.vmlinux import extract_vmlinux
from emulator.lab_file.tables import ImageTable
from emulator.machine.architectures import ARCHITECTURES, architecture_for, feature_of
from emulator.machine.architectures.parts import Architecture
from emulator.machine.spec import Board, MachineSpec

OWN = "own"
"""Feature of an image that a user brought: what its guest can do is found out when it is first booted."""
OWN_LINE = "own-kernel-line"
"""Feature of a disk: its loader has a kernel line of its own, to which nothing can be added."""
TTYLAB_GUEST = "ttylab-guest"
"""Feature of a kernel that is started with ttylab's own initramfs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKernel(OwnGuest):
    """A kernel of a user's; see `emulator.guest_images.kinds.GuestImage`.

    Attributes:
        name: what its user calls it.
        table: what its user said of it.
        facts: what its file tells.
        architecture: what starts it.
        bzimage: the file, or what was packed in it.
        vmlinux: the same kernel in the form that is started fastest without UEFI, if there is one.
        initrd: the initramfs; None if there is none.
        disk: none; `linux_spec` asks.
        offers: features that are known before it is booted.
        sha256: hashes of kernel and initramfs.
    """

    table: ImageTable
    facts: KernelFacts
    architecture: Architecture
    bzimage: Path
    vmlinux: Path
    initrd: Path | None
    offers: frozenset[str]
    sha256: Mapping[str, str]
    disk: None = None

    @property
    def features(self) -> frozenset[str]:
        """What is known to be offered, its architecture, and OWN."""
        ours = {TTYLAB_GUEST} if self.table.is_ttylabs else set[str]()
        return self.offers | feature_of(self.architecture) | {OWN} | ours

    @property
    def usual_board(self) -> Board:
        """What its table names, else the usual one of its architecture: a PC under SeaBIOS."""
        table = self.table
        return usual_board(
            self.architecture, machine=table.machine, firmware=table.firmware, who=f"image {self.name}"
        )

    def provenance(self) -> dict[str, object]:
        """Return what it is, ready for JSON."""
        return {
            "name": self.name,
            "own": "kernel",
            "files": {"kernel": str(self.table.kernel), "initrd": str(self.table.initrd or "none")},
            "kernel_release": self.facts.release,
            "architecture": self.facts.architecture,
            "form": self.facts.form.value,
            "sha256": dict(self.sha256),
            "append": list(self.table.append),
        }

    def spec(self, board: Board) -> MachineSpec:
        """Return a machine that starts it; raises SpecError as `linux_spec`."""
        board = replace(board, words=(*self.table.append, *board.words))
        return linux_spec(self, board, memory_mib=self.table.memory_mib)

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return the kernel parameter that names ttylab's own guest; none for another initramfs."""
        return (f"ttylab.hostname={host_name}",) if self.table.is_ttylabs else ()


def open_kernel(name: str, table: ImageTable, *, build: bool = True) -> OwnKernel:
    """Return a user's kernel as an image.

    Raises:
        SpecError: a file is missing, is no kernel, is cut off, or is for another architecture;
            or the initramfs is for another kernel; or the password can't be had.
        ImageError: ttylab's initramfs is wanted, and its image can't be had; without `build`, is not built.
    """
    if table.kernel is None:
        raise SpecError(f"image {name} has no kernel")
    facts, digest = read_kernel(table.kernel)
    architecture = architecture_for(facts.architecture)
    if architecture is None:
        allowed = ", ".join(name for one in ARCHITECTURES for name in one.kernels)
        shown = visible(str(table.kernel))
        raise SpecError(f"kernel {shown}: it is for {facts.architecture}; allowed: {allowed}")
    modules = OwnModules()
    if table.modules is not None:
        modules = read_modules(table.modules, release=facts.release, architecture=architecture)
    initrd = _initrd(name, table, modules, facts.release, architecture=architecture, build=build)
    kernel = _whole_form(table.kernel, facts, digest)
    is_plain = table.is_ttylabs and table.login is None
    hashes = {"kernel": digest} | ({} if initrd is None else {"initrd": hash_once(initrd)})
    return OwnKernel(
        name=name,
        table=table,
        profile=LinuxProfile() if is_plain else profile_of(table, where=f"image {name}"),
        facts=facts,
        architecture=architecture,
        bzimage=kernel,
        vmlinux=_fast_form(kernel, facts, digest),
        initrd=initrd,
        offers=modules.features(load_recipe().modules_for(architecture)),
        sha256=hashes,
    )


def read_kernel(path: Path) -> tuple[KernelFacts, str]:
    """Return what a kernel's file tells, and its hash; raises SpecError as `open_kernel`."""
    shown = visible(str(path))
    try:
        size = require_regular(path)
        with path.open("rb") as file:
            if not size:
                raise SpecError(f"kernel {shown}: the file is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                facts = identify(cast("bytes", content))
                digest = hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise SpecError(f"kernel {shown}: {error.strerror}") from error
    except ImageError as error:
        raise SpecError(f"kernel {shown}: {error}") from error
    return facts, digest


def _whole_form(path: Path, facts: KernelFacts, digest: str) -> Path:
    """Return a kernel as firmware takes it: an arm64 Image that is packed, or in an ELF file, by itself."""
    unpack = {Form.PACKED_IMAGE: bare_image, Form.ELF_IMAGE: image_in_elf}.get(facts.form)
    if unpack is None:
        return path
    return keep_file(digest, "Image", lambda: unpack(path.read_bytes()))


def _fast_form(path: Path, facts: KernelFacts, digest: str) -> Path:
    """Return the uncompressed kernel of a bzImage, where QEMU can start it; else the file itself."""
    if facts.form is not Form.BZIMAGE:
        return path
    try:
        return keep_file(digest, "vmlinux", lambda: extract_vmlinux(path.read_bytes()))
    except ImageError:  # packed in another way, or without CONFIG_PVH
        return path


def _initrd(
    name: str,
    table: ImageTable,
    modules: OwnModules,
    release: str,
    *,
    architecture: Architecture,
    build: bool,
) -> Path | None:
    if table.initrd is None:
        return None
    if table.is_ttylabs:
        store = ImageStore()
        base = store.ensure(architecture.base_image) if build else store.open(architecture.base_image)
        return compose_initrd(base.initrd, modules, name=name)
    shown = f"initrd {visible(str(table.initrd))}"
    try:
        size = require_regular(table.initrd)
        releases = kernel_releases(table.initrd.read_bytes())
    except OSError as error:
        raise SpecError(f"{shown}: {error.strerror}") from error
    if not size:
        raise SpecError(f"{shown}: the file is empty")
    if release and releases and release not in releases:
        names = visible(", ".join(sorted(releases)))
        raise SpecError(f"{shown}: its modules are of kernel {names}, and the kernel is {visible(release)}")
    return table.initrd
