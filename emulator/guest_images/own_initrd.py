"""ttylab's initramfs for a user's own kernel: that of an image of ours, and the kernel's modules over it.

The kernel unpacks archives one after the other, and what comes later replaces what came before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import ImageError, SpecError
from emulator.guest_images.hashes import keep_file
from emulator.guest_text.printable import visible
from emulator.images.recipe import load_recipe
from emulator.kernel_files import cpio
from emulator.kernel_files.modules import Module, load_order, module_name, parse_module
from emulator.kernel_files.spin import DONOR, NAME, make_spin_module
from emulator.machine.architectures.parts import Architecture

_VERMAGIC = re.compile(rb"\0vermagic=([\x21-\x7e]{1,64}) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModules:
    """What a kernel has of the modules that ttylab's guest uses.

    Attributes:
        loaded: modules in the order in which they load.
        builtin: names of those that are in the kernel itself.
        spin: a module that hangs a CPU; None if it can't be made.
    """

    loaded: tuple[Module, ...] = ()
    builtin: frozenset[str] = frozenset()
    spin: bytes | None = None

    def features(self, wanted: Collection[str]) -> frozenset[str]:
        """Return what the guest offers of the recipe's modules, and "spin"."""
        there = {module.name for module in self.loaded} | self.builtin
        return frozenset(there & set(wanted)) | frozenset({NAME} if self.spin else ())


def read_modules(directory: Path, *, release: str, architecture: Architecture) -> OwnModules:
    """Return the modules of `directory`, which holds them as `make modules_install` leaves them.

    Raises:
        SpecError: there are none, they are of several kernels, or of another one than `release`.
        ImageError: a module is damaged.
    """
    shown = visible(str(directory))
    root = _root_of(directory, release, shown=shown)
    files = {module_name(path.name): path for path in sorted(root.rglob("*.ko*"))}
    wanted = load_recipe().modules_for(architecture)
    modules: dict[str, Module] = {}
    missing = {*wanted, DONOR}
    while missing:
        read = {name: _read(files[name]) for name in missing if name in files}
        modules |= read
        missing = {need for module in read.values() for need in module.depends} - modules.keys()
    loaded = load_order(wanted, modules)
    for module in loaded:
        found = _VERMAGIC.search(module.data)
        if release and found is not None and (of := found[1].decode()) != release:
            raise SpecError(f"modules {shown}: they are of kernel {of}, and the kernel is {release}")
    listing = root / "modules.builtin"
    builtin = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    return OwnModules(
        loaded=tuple(loaded),
        builtin=frozenset(module_name(line) for line in builtin),
        spin=make_spin_module(modules[DONOR].data, architecture.code) if DONOR in modules else None,
    )


def _root_of(directory: Path, release: str, *, shown: str) -> Path:
    if not directory.is_dir():
        raise SpecError(f"modules {shown}: there is no such directory")
    roots = [path.parent for path in sorted(directory.glob("**/modules.order"))] or [directory]
    if len(roots) > 1:
        roots = [root for root in roots if root.name == release] or roots
    if len(roots) > 1:
        names = ", ".join(root.name for root in roots)
        raise SpecError(f"modules {shown}: of several kernels: {names}; name the directory of one")
    if not any(roots[0].rglob("*.ko*")) and not (roots[0] / "modules.builtin").is_file():
        raise SpecError(f"modules {shown}: neither modules nor modules.builtin; run make modules_install")
    return roots[0]


def _read(path: Path) -> Module:
    try:
        return parse_module(path.name, path.read_bytes())
    except OSError as error:
        raise ImageError(f"module {visible(str(path))}: {error.strerror}") from error


def compose_initrd(base: Path, modules: OwnModules, *, name: str) -> Path:
    """Return the file of the initramfs for a guest called `name`, over `base`, the one of an image of ours.

    The same input gives the same file. Raises OSError if `base` can't be read, FileError as `keep_file`.
    """
    files: Mapping[str, bytes] = {
        "etc/hostname": f"{name}\n".encode(),
        "lib/modules/order": "".join(f"{module.name}\n" for module in modules.loaded).encode(),
        **{f"lib/modules/{module.name}.ko": module.data for module in modules.loaded},
        **({} if modules.spin is None else {f"lib/modules/{NAME}.ko": modules.spin}),
    }
    content = base.read_bytes()
    own = cpio.write_initramfs([cpio.file(path, data) for path, data in files.items()])
    return keep_file(hashlib.sha256(content + own).hexdigest(), "initrd", lambda: content + own)
