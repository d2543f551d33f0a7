"""A kernel that a user brings, alone or with an initramfs, as an image."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from emulator import places
from emulator.errors import ImageError, SpecError
from emulator.files import require_regular, write_whole
from emulator.guest_images.hashes import hash_once
from emulator.guest_images.own_initrd import OwnModules, compose_initrd, read_modules
from emulator.guest_images.own_profile import profile_of
from emulator.guest_text.linux import LinuxProfile
from emulator.guest_text.printable import visible
from emulator.images.image import linux_spec
from emulator.images.recipe import load_recipe
from emulator.images.store import ImageStore
from emulator.kernel_files.identify import Form, KernelFacts, identify
from emulator.kernel_files.vmlinux import extract_vmlinux
from emulator.lab_file.tables import TTYLAB_INITRD, ImageTable
from emulator.machine.spec import Board, Firmware, MachineSpec, MachineType
from emulator.sac.image import SacConsole
from emulator.sac.knobs import SacKnobs

OWN = "own"
"""Feature of an image that a user brought: what its guest can do is found out when it is first booted."""
BASE = "bookworm"
"""The image whose initramfs serves for a user's own kernel."""
_X86 = ("x86_64", "i686")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKernel:
    """A kernel of a user's; see `emulator.guest_images.kinds.GuestImage`.

    Attributes:
        name: what its user calls it.
        table: what its user said of it.
        facts: what its file tells.
        bzimage: the file.
        vmlinux: the same kernel in the form that SeaBIOS starts fastest, if there is one.
        initrd: the initramfs; None if there is none.
        disk: none; `linux_spec` asks.
        offers: features that are known before it is booted.
        sha256: hashes of kernel and initramfs.
    """

    name: str
    table: ImageTable
    facts: KernelFacts
    bzimage: Path
    vmlinux: Path
    initrd: Path | None
    offers: frozenset[str]
    sha256: Mapping[str, str]
    disk: None = None

    @property
    def features(self) -> frozenset[str]:
        """What is known to be offered, and OWN."""
        return self.offers | {OWN}

    @property
    def usual_board(self) -> Board:
        """What its table names, else a PC under SeaBIOS."""
        return Board(
            machine=MachineType(self.table.machine or MachineType.PC),
            firmware=Firmware(self.table.firmware or Firmware.SEABIOS),
        )

    @property
    def boot_timeout_s(self) -> float:
        """What its table says; else no limit but that of the scenario."""
        return self.table.boot_timeout_s or 0.0

    def linux_console(self) -> LinuxProfile:
        """Return its prompts, and who may log in; raises SpecError if the password can't be had."""
        if str(self.table.initrd) == TTYLAB_INITRD and self.table.login is None:
            return LinuxProfile()
        return profile_of(self.table, where=f"image {self.name}")

    def provenance(self) -> dict[str, object]:
        """Return what it is, ready for JSON."""
        return {
            "name": self.name,
            "own": "kernel",
            "path": str(self.table.kernel),
            "kernel_release": self.facts.release,
            "architecture": self.facts.architecture,
            "form": self.facts.form.value,
            "sha256": dict(self.sha256),
            "append": list(self.table.append),
        }

    def spec(self, board: Board) -> MachineSpec:
        """Return a machine that starts it; raises SpecError as `linux_spec`."""
        return linux_spec(
            self,
            machine=board.machine,
            firmware=board.firmware,
            words=(*self.table.append, *board.words),
            name=board.name,
            uuid=board.uuid,
            memory_mib=self.table.memory_mib,
        )

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return the kernel parameter that names ttylab's own guest; none for another initramfs."""
        return (f"ttylab.hostname={host_name}",) if str(self.table.initrd) == TTYLAB_INITRD else ()

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Refuse: Linux has no SAC."""
        del knobs
        raise SpecError(f"image {self.name} has no SAC")


def open_kernel(name: str, table: ImageTable, *, build: bool = True) -> OwnKernel:
    """Return a user's kernel as an image.

    Raises:
        SpecError: a file is missing, is no kernel, is cut off, or is for another architecture.
        ImageError: ttylab's initramfs is wanted, and its image can't be had; without `build`, is not built.
    """
    if table.kernel is None:
        raise SpecError(f"image {name} has no kernel")
    facts, digest = _look(table.kernel)
    modules = OwnModules()
    if table.modules is not None:
        modules = read_modules(table.modules, release=facts.release)
    initrd = _initrd(name, table, modules, build=build)
    hashes = {"kernel": digest} | ({} if initrd is None else {"initrd": hash_once(initrd)})
    return OwnKernel(
        name=name,
        table=table,
        facts=facts,
        bzimage=table.kernel,
        vmlinux=_fast_form(table.kernel, facts, digest),
        initrd=initrd,
        offers=modules.features(load_recipe().modules),
        sha256=hashes,
    )


def _look(path: Path) -> tuple[KernelFacts, str]:
    """Return what a kernel's file tells, and its hash."""
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
    if facts.architecture not in _X86:
        raise SpecError(f"kernel {shown}: it is for {facts.architecture}; allowed: {', '.join(_X86)}")
    return facts, digest


def _fast_form(path: Path, facts: KernelFacts, digest: str) -> Path:
    """Return the uncompressed kernel of a bzImage, where QEMU can start it; else the file itself."""
    if facts.form is not Form.BZIMAGE:
        return path
    target = places.own_files() / digest[:16] / "vmlinux"
    if not target.is_file():
        try:
            vmlinux = extract_vmlinux(path.read_bytes())
        except ImageError:  # packed in another way, or without CONFIG_PVH
            return path
        write_whole(target, vmlinux, private=True, parents=True)
    return target


def _initrd(name: str, table: ImageTable, modules: OwnModules, *, build: bool) -> Path | None:
    if table.initrd is None:
        return None
    if str(table.initrd) == TTYLAB_INITRD:
        store = ImageStore()
        base = store.ensure(BASE) if build else store.open(BASE)
        return compose_initrd(base.initrd, modules, name=name)
    try:
        require_regular(table.initrd)
    except OSError as error:
        raise SpecError(f"initrd {visible(str(table.initrd))}: {error.strerror}") from error
    return table.initrd
