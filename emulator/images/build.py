"""Builds one image into a directory that nobody else sees yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from emulator.errors import ImageError
from emulator.images import cpio
from emulator.images.bzimage import extract_vmlinux
from emulator.images.catalog import CatalogEntry
from emulator.images.image import DISK, FILES, Manifest, hash_file
from emulator.images.kernel_modules import DONOR, NAME, Module, make_spin_module, module_name, parse_module
from emulator.images.loader import write_disk
from emulator.images.package import Package, Progress, read_files
from emulator.images.recipe import Recipe, disk_files, features, guest_nodes

_VMLINUZ = re.compile(r"^(usr/)?(boot/vmlinuz-(?P<boot>.+)|lib/modules/(?P<lib>[^/]+)/vmlinuz)$")
_BUILTIN = re.compile(r"^(usr/)?lib/modules/[^/]+/modules\.builtin$")
_BUSYBOX = re.compile(r"^(usr/)?bin/busybox$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """What a kernel's packages hold that the guest needs."""

    release: str
    bzimage: bytes
    builtin: frozenset[str]
    modules: dict[str, Module]
    package: Package


def build_image(
    entry: CatalogEntry,
    recipe: Recipe,
    *,
    debs: Sequence[tuple[Package, Path]],
    directory: Path,
    progress: Progress,
) -> Manifest:
    """Write bzimage, vmlinux, initrd, disk.img if wanted and manifest.json, and return the manifest.

    The same packages and recipe give the same bytes.

    Raises:
        ImageError: a package is damaged or lacks what the guest needs.
        OSError: the files can't be written.
    """
    progress("reading the kernel package", 0.4)
    kernel = _read_kernel(debs, recipe)
    progress("unpacking the kernel", 0.7)
    vmlinux = extract_vmlinux(kernel.bzimage)
    progress("writing the initramfs", 0.85)
    spin = make_spin_module(kernel.modules[DONOR].data) if DONOR in kernel.modules else None
    order, offered = features(recipe, loadable=kernel.modules, builtin=kernel.builtin)
    offered |= {NAME} if spin else set()
    if lacking := ", ".join(sorted(entry.offers - offered)):
        raise ImageError(f"image {entry.name} lacks what the catalog says it offers: {lacking}")
    busybox = _only(_read(debs, _BUSYBOX.match, prefix="busybox-static"), "busybox")
    nodes = guest_nodes(recipe, image=entry.name, busybox=busybox, modules=order, spin=spin)
    contents = dict(zip(FILES, (kernel.bzimage, vmlinux, cpio.write_initramfs(nodes)), strict=True))
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    if entry.disk:
        progress("writing the disk", 0.9)
        files = disk_files(recipe, contents, release=kernel.release)
        write_disk(directory / DISK, files, debs=debs)
    manifest = Manifest(
        name=entry.name,
        suite=entry.suite,
        flavour=entry.flavour,
        kernel_request=entry.kernel,
        kernel_version=kernel.package.version,
        kernel_release=kernel.release,
        modules=tuple(sorted(offered)),
        packages=tuple(package for package, _ in debs),
        recipe=recipe.digest(entry),
        sha256={path.name: hash_file(path) for path in sorted(directory.iterdir())},
    )
    (directory / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _read_kernel(debs: Sequence[tuple[Package, Path]], recipe: Recipe) -> _Kernel:
    packages = [(package, path) for package, path in debs if package.name.startswith("linux-")]
    wanted = frozenset(recipe.modules)
    files = _read(packages, partial(_is_kernel_file, wanted=wanted), prefix="linux-")
    path, bzimage = _only_item(files, _VMLINUZ.match, "kernel")
    match = _VMLINUZ.match(path)
    release = (match["boot"] or match["lib"]) if match else ""
    builtin = _only({path: data for path, data in files.items() if _BUILTIN.match(path)}, "modules.builtin")
    return _Kernel(
        release=release,
        bzimage=bzimage,
        builtin=frozenset(module_name(line) for line in builtin.decode().splitlines()),
        modules=_with_dependencies(_modules(files), packages),
        package=_kernel_package(packages, release),
    )


def _with_dependencies(
    modules: dict[str, Module], packages: Sequence[tuple[Package, Path]]
) -> dict[str, Module]:
    """Read the packages again for what the recipe's modules depend on and the recipe does not name."""
    while missing := frozenset(name for each in modules.values() for name in each.depends) - modules.keys():
        more = _modules(_read(packages, partial(_is_module, wanted=missing), prefix="linux-"))
        if not more:
            raise ImageError(f"the kernel package lacks the modules {', '.join(sorted(missing))}")
        modules = modules | more
    return modules


def _is_kernel_file(path: str, wanted: frozenset[str]) -> bool:
    return bool(_VMLINUZ.match(path) or _BUILTIN.match(path)) or _is_module(path, wanted)


def _is_module(path: str, wanted: frozenset[str]) -> bool:
    return ".ko" in PurePosixPath(path).suffixes and module_name(path) in wanted


def _modules(files: dict[str, bytes]) -> dict[str, Module]:
    found = [
        parse_module(path, data) for path, data in files.items() if ".ko" in PurePosixPath(path).suffixes
    ]
    return {module.name: module for module in found}


def _kernel_package(packages: Sequence[tuple[Package, Path]], release: str) -> Package:
    for package, _ in packages:
        if package.name == f"linux-image-{release}":
            return package
    raise ImageError(
        f"no package linux-image-{release} among {', '.join(package.name for package, _ in packages)}"
    )


def _read(
    debs: Sequence[tuple[Package, Path]], wanted: Callable[[str], object], *, prefix: str
) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for package, path in debs:
        if package.name.startswith(prefix):
            files |= read_files(path, lambda name: bool(wanted(name)))
    return files


def _only_item(files: dict[str, bytes], wanted: Callable[[str], object], what: str) -> tuple[str, bytes]:
    matching = [(path, data) for path, data in files.items() if wanted(path)]
    if len(matching) != 1:
        raise ImageError(f"the packages hold {len(matching)} files that could be the {what}; one is needed")
    return matching[0]


def _only(files: dict[str, bytes], what: str) -> bytes:
    return _only_item(files, bool, what)[1]
