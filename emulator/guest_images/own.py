"""The images that users bring: those of their lab.toml, and those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emulator.errors import SpecError
from emulator.guest_images.own_disk import OwnDisk, disk_architecture, open_disk
from emulator.guest_images.own_kernel import OWN, OwnKernel, open_kernel
from emulator.images.catalog import load_catalog
from emulator.kernel_files.identify import HEAD, peek
from emulator.lab_file.packages import brought
from emulator.lab_file.read import current_lab, read_lab
from emulator.lab_file.tables import ImageTable
from emulator.machine.architectures import architecture_for, feature_of
from emulator.machine.architectures.parts import Architecture
from emulator.sac.image import SAC_IMAGES


def own_tables() -> Mapping[str, ImageTable]:
    """Return what users say of their images, by name.

    Raises:
        SpecError: a lab.toml is wrong, or two images have one name.
    """
    taken = dict.fromkeys((*load_catalog().entries, *SAC_IMAGES), "ttylab itself")
    tables: dict[str, ImageTable] = {}
    lab = current_lab()
    sources = [(who, read_lab(Path(path)).images) for who, path in brought("ttylab.images")]
    for who, images in [*sources, (str(lab.path), lab.images)]:
        for name, table in images.items():
            if name in taken:
                raise SpecError(f"{who}: images.{name}: {taken[name]} has an image of that name")
            taken[name] = who
            tables[name] = table
    return tables


def own_features() -> Mapping[str, frozenset[str]]:
    """Return what is known of each before it is opened: that it is a user's own, and its architecture."""
    return {name: feature_of(_architecture(table)) | {OWN} for name, table in own_tables().items()}


def _architecture(table: ImageTable) -> Architecture | None:
    """Return the architecture of a kernel by the head of its file, of a disk by what it is to boot on."""
    if table.kernel is None:
        return disk_architecture(table)
    try:
        with table.kernel.open("rb") as file:
            return architecture_for(peek(file.read(HEAD)))
    except OSError:
        return None


def open_own(name: str, build: bool) -> OwnKernel | OwnDisk:  # noqa: FBT001  # as `ImageKind.open` says
    """Return a user's image; raises as `open_kernel` and `open_disk`."""
    table = own_tables()[name]
    return open_disk(name, table) if table.kernel is None else open_kernel(name, table, build=build)
