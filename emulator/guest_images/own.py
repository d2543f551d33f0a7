"""The images that users bring: those of their lab.toml, and those of installed packages."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Literal

from emulator.errors import ImageError, SpecError, unknown_name
from emulator.files import require_regular
from emulator.guest_images.own_disk import OwnDisk, disk_architecture, open_disk
from emulator.guest_images.own_initrd import read_modules
from emulator.guest_images.own_kernel import OWN, OwnKernel, open_kernel, read_kernel
from emulator.guest_text.printable import visible
from emulator.images.catalog import load_catalog
from emulator.images.recipe import load_recipe
from emulator.kernel_files.identify import HEAD, form_of, peek
from emulator.lab_file.packages import all_labs
from emulator.lab_file.tables import NAME, ImageTable
from emulator.machine.architectures import architecture_for, feature_of
from emulator.machine.architectures.parts import Architecture
from emulator.machine.spec import Firmware, MachineType
from emulator.sac.image import SAC_IMAGES


def own_tables() -> Mapping[str, ImageTable]:
    """Return what users say of their images by name; a wrong lab.toml, or a name twice, raises SpecError."""
    taken = dict.fromkeys((*load_catalog().entries, *SAC_IMAGES), "ttylab itself")
    tables: dict[str, ImageTable] = {}
    for who, lab in all_labs("ttylab.images"):
        for name, table in lab.images.items():
            if name in taken:
                raise SpecError(f"{who}: images.{name}: {taken[name]} has an image of that name")
            for field, value, known in (
                ("machine", table.machine, [*MachineType]),
                ("firmware", table.firmware, [*Firmware]),
            ):
                if value is not None and value not in known:
                    raise SpecError(f"{who}: images.{name}: {unknown_name(field, value, known)}")
            taken[name], tables[name] = who, table
    return tables


def own_features() -> Mapping[str, frozenset[str]]:
    """Return what is known of each unopened: that it is a user's, what it is for, its modules."""
    return {name: frozenset({OWN}) | _known_of(table) for name, table in own_tables().items()}


def _known_of(table: ImageTable) -> frozenset[str]:
    """Return a kernel's architecture by the head of its file, and its modules; a disk's architecture."""
    if table.kernel is None:
        return feature_of(disk_architecture(table))
    architecture = None
    with suppress(OSError), table.kernel.open("rb") as file:
        architecture = architecture_for(peek(file.read(HEAD)))
    return feature_of(architecture) | _module_features(table.kernel, table.modules, architecture)


@cache
def _module_features(
    kernel: Path, directory: Path | None, architecture: Architecture | None
) -> frozenset[str]:
    """Return what a kernel's modules offer; nothing if they can't be read, as opening the image will tell."""
    if directory is not None and architecture is not None:
        with suppress(SpecError, ImageError):
            release = read_kernel(kernel)[0].release
            modules = read_modules(directory, release=release, architecture=architecture)
            return modules.features(load_recipe().modules_for(architecture))
    return frozenset()


def open_table(name: str, table: ImageTable, *, build: bool = True) -> OwnKernel | OwnDisk:
    """Return the image that a table describes; raises as `open_kernel` and `open_disk`."""
    return (open_disk if table.kernel is None else open_kernel)(name, table, build=build)


def require_files(names: frozenset[str]) -> None:
    """Raise SpecError if a file or a directory of one of these images is missing, where they are users'."""
    tables = own_tables()
    for name in sorted(tables.keys() & names):
        table = tables[name]
        given = {"kernel": table.kernel, "modules": table.modules, "disk": table.disk}
        given |= {} if table.is_ttylabs else {"initrd": table.initrd}
        for key, path in given.items():
            if path is not None and not path.exists():
                raise SpecError(f"images.{name}.{key}: there is no {visible(str(path))}")


def file_kind(path: Path) -> Literal["kernel", "disk"]:
    """Return what a file is by its first bytes, a disk unless it means to be a kernel; raises SpecError."""
    try:
        require_regular(path)
        with path.open("rb") as file:
            return "disk" if form_of(file.read(HEAD)) is None else "kernel"
    except OSError as error:
        raise SpecError(f"{visible(str(path))}: {error.strerror}") from error


def linux_names() -> frozenset[str]:
    """Return the images that a VM of the service may have: the catalog's and the users' own."""
    return frozenset((*load_catalog().entries, *own_tables()))


def own_name(path: Path, taken: Collection[str]) -> str:
    """Return a name for the image of a file, from the file's: as it is allowed, and not one of `taken`."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", path.name.lower())
    name = re.sub(r"([.-])[.-]+", r"\1", plain).strip(".-")[:40].strip(".-") or "image"
    assert NAME.fullmatch(name)  # noqa: S101  # made to fit
    numbered = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(one for one in numbered if one not in taken)
