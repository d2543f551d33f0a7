"""The images that users bring: those of their lab.toml, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from emulator.errors import SpecError
from emulator.guest_images.own_disk import OwnDisk, open_disk
from emulator.guest_images.own_kernel import OWN, OwnKernel, open_kernel
from emulator.images.catalog import load_catalog
from emulator.lab_file.packages import brought
from emulator.lab_file.read import current_lab, read_lab
from emulator.lab_file.tables import ImageTable
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
    """Return what is known of each before it is opened: that it is a user's own."""
    return {name: frozenset({OWN}) for name in own_tables()}


def open_own(
    name: str,
    build: bool,  # noqa: FBT001  # as `ImageKind.open` says
    tell: Callable[[str], None] = lambda _text: None,
) -> OwnKernel | OwnDisk:
    """Return a user's image; `tell` is told of what takes long; raises as `open_kernel` and `open_disk`."""
    table = own_tables()[name]
    if table.kernel is None:
        return open_disk(name, table, build=build, tell=tell)
    return open_kernel(name, table, build=build)
