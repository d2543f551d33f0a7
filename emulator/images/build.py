"""Builds one image from Debian packages, into a directory that nobody else sees yet."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from emulator.errors import ImageError, MissingPrerequisite
from emulator.images.catalog import CatalogEntry
from emulator.images.image import (
    BZIMAGE,
    DISK,
    INITRD,
    MANIFEST,
    VMLINUX,
    Image,
    Package,
    Progress,
    hash_file,
)
from emulator.images.loader import write_disk
from emulator.images.recipe import Recipe, disk_files, guest_nodes
from emulator.kernel_files import cpio
from emulator.kernel_files.identify import bare_image
from emulator.kernel_files.modules import Module, load_order, module_name, parse_module
from emulator.kernel_files.spin import DONOR, NAME, make_spin_module
from emulator.kernel_files.vmlinux import extract_vmlinux

_VMLINUZ = re.compile(r"^(usr/)?(boot/vmlinuz-(?P<boot>.+)|lib/modules/(?P<lib>[^/]+)/vmlinuz)$")
_BUILTIN = re.compile(r"^(usr/)?lib/modules/[^/]+/modules\.builtin$")
_BUSYBOX = re.compile(r"^(usr/)?bin/busybox$")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """What the guest needs from a kernel's packages."""

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
) -> Image:
    """Write bzimage, initrd, manifest.json, on x86 vmlinux, and perhaps disk.img; return the image.

    The same packages and recipe give the same bytes.

    Raises:
        ImageError: a package is damaged or lacks what the guest needs.
        OSError: the files can't be written.
    """
    progress("reading the kernel package", 0.4)
    kernel = _read_kernel(debs, recipe.modules_for(entry.runs_on))
    progress("unpacking the kernel", 0.7)
    forms = _forms(entry, kernel.bzimage)
    progress("writing the initramfs", 0.85)
    wanted, donor = recipe.modules_for(entry.runs_on), kernel.modules.get(DONOR)
    spin = None if donor is None else make_spin_module(donor.data, entry.runs_on.code)
    order = load_order(wanted, kernel.modules)
    offered = {*wanted} & (kernel.modules.keys() | kernel.builtin) | ({NAME} if spin else set())
    if lacking := ", ".join(sorted(entry.offers - offered)):
        raise ImageError(f"image {entry.name} lacks what the catalog says it offers: {lacking}")
    busybox = _only(list(_read(debs, _BUSYBOX.match, prefix="busybox-static").values()), "busybox")
    nodes = guest_nodes(recipe, entry, busybox=busybox, modules=order, spin=spin)
    contents = {**forms, INITRD: cpio.write_initramfs(nodes)}
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    if entry.disk:
        progress("writing the disk", 0.9)
        write_disk(directory / DISK, disk_files(recipe, contents, release=kernel.release), debs=debs)
    image = Image(
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
        directory=directory,
    )
    (directory / MANIFEST).write_text(image.to_json(), encoding="utf-8")
    return image


def _forms(entry: CatalogEntry, packed: bytes) -> dict[str, bytes]:
    """Return a kernel as QEMU starts it, by the names of the image's files."""
    if entry.runs_on.starts_elf:
        return {BZIMAGE: packed, VMLINUX: extract_vmlinux(packed)}
    return {BZIMAGE: bare_image(packed)}


def _read_kernel(debs: Sequence[tuple[Package, Path]], names: Iterable[str]) -> _Kernel:
    packages = [(package, path) for package, path in debs if package.name.startswith("linux-")]
    wanted = frozenset(names)
    files = _read(
        packages,
        lambda path: _VMLINUZ.match(path) or _BUILTIN.match(path) or _is_module(path, wanted),
        prefix="linux-",
    )
    matches = [(found, data) for path, data in files.items() if (found := _VMLINUZ.match(path))]
    found, bzimage = _only(matches, "kernel")
    release = found["boot"] or found["lib"]
    builtin = _only([data for path, data in files.items() if _BUILTIN.match(path)], "modules.builtin")
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
    """Read the packages again for dependencies of the recipe's modules that it does not name itself."""
    while missing := frozenset(name for each in modules.values() for name in each.depends) - modules.keys():
        more = _modules(_read(packages, partial(_is_module, wanted=missing), prefix="linux-"))
        if not more:
            raise ImageError(f"the kernel package lacks the modules {', '.join(sorted(missing))}")
        modules = modules | more
    return modules


def _is_module(path: str, wanted: frozenset[str]) -> bool:
    return ".ko" in PurePosixPath(path).suffixes and module_name(path) in wanted


def _modules(files: dict[str, bytes]) -> dict[str, Module]:
    packed = ((path, data) for path, data in files.items() if ".ko" in PurePosixPath(path).suffixes)
    return {module.name: module for module in (parse_module(path, data) for path, data in packed)}


def _kernel_package(packages: Sequence[tuple[Package, Path]], release: str) -> Package:
    named = {package.name: package for package, _ in packages}
    if (wanted := f"linux-image-{release}") not in named:
        raise ImageError(f"no package {wanted} among {', '.join(named)}")
    return named[wanted]


def _read(
    debs: Sequence[tuple[Package, Path]], wanted: Callable[[str], object], *, prefix: str
) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for package, path in debs:
        if package.name.startswith(prefix):
            files |= read_files(path, wanted)
    return files


def _only(found: Sequence[T], what: str) -> T:
    if len(found) != 1:
        raise ImageError(f"the packages hold {len(found)} files that could be the {what}; one is needed")
    return found[0]


def read_files(deb: Path, wanted: Callable[[str], object]) -> dict[str, bytes]:
    """Return a package's regular files whose path (without "./") is `wanted`; ImageError: it is damaged."""
    argv = ("dpkg-deb", "--fsys-tarfile", str(deb))
    try:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise MissingPrerequisite("dpkg-deb", remedy="apt-get install dpkg") from error
    with process:
        try:
            files = _read_stream(process.stdout, wanted)
        except BaseException as error:
            process.kill()
            if isinstance(error, tarfile.TarError | EOFError):
                raise ImageError(f"{deb.name}: damaged package: {error}") from error
            raise
    if process.returncode != 0:
        raise ImageError(f"{deb.name}: damaged package: dpkg-deb ended with {process.returncode}")
    return files


def _read_stream(stream: IO[bytes] | None, wanted: Callable[[str], object]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            content = archive.extractfile(member) if member.isfile() and wanted(path) else None
            if content is not None:
                files[path] = content.read()
            archive.members = []  # type: ignore[attr-defined]  # a stream can't go back: keep memory flat
    return files
