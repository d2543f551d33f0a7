"""The catalog of guest images: images/catalog.toml, validated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from emulator.errors import SpecError, unknown_name
from emulator.machine.architectures import ARCHITECTURES, feature_of
from emulator.machine.architectures.parts import Architecture
from emulator.values import load_toml

Suite = Literal["bullseye", "bookworm", "trixie", "sid"]
Flavour = Literal["cloud", "generic"]
_ARCHITECTURES = {one.debian: one for one in ARCHITECTURES}
_VERSION = r"^(newest|[0-9][A-Za-z0-9.+~:-]*)$"
_IMAGE_NAME = r"^[a-z][a-z0-9-]{0,30}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ImageTable:
    suite: Suite
    flavour: Flavour
    architecture: str = ARCHITECTURES[0].debian
    kernel: Annotated[str, Field(pattern=_VERSION)] = "newest"
    offers: frozenset[str] = frozenset()
    check_valid_until: bool = True
    disk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _CatalogTable:
    mirror: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    keyring: Annotated[str, Field(pattern=r"^/[^\s]+$")]
    images: Annotated[Mapping[str, _ImageTable], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry(_ImageTable):
    """What an image is made from.

    Attributes:
        name: the image's name.
        suite: Debian suite that kernel and busybox come from.
        flavour: "cloud" (few drivers) or "generic" (all drivers).
        architecture: as Debian says it, "amd64".
        kernel: Debian version of the kernel, or "newest" of the suite.
        offers: features that a scenario may ask for ("i6300esb"), before the image is built.
        check_valid_until: whether apt refuses an expired index.
        mirror: URL of the archive.
        keyring: file with the archive's keys on this host.
        disk: whether a disk with GRUB is made, which the image then boots from.
    """

    name: str
    mirror: str
    keyring: Path

    @property
    def kernel_package(self) -> str:
        """The package that depends on the newest kernel of this flavour."""
        return f"linux-image-{'cloud-' if self.flavour == 'cloud' else ''}{self.architecture}"

    @property
    def runs_on(self) -> Architecture:
        """What its machines are."""
        return _ARCHITECTURES[self.architecture]

    @property
    def features(self) -> frozenset[str]:
        """What is known of its guest before it is built: what it offers, and its architecture."""
        return self.offers | feature_of(self.runs_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All images by name, sorted, and the file that they were read from."""

    path: Path
    entries: Mapping[str, CatalogEntry]

    @property
    def names(self) -> tuple[str, ...]:
        """The names, sorted."""
        return tuple(self.entries)

    def entry(self, name: str) -> CatalogEntry:
        """Return the image called `name`; the SpecError for an unknown one lists the catalog's names."""
        if name not in self.entries:
            raise SpecError(f"unknown image {name!r}; {self.path} has: {', '.join(self.names)}")
        return self.entries[name]


def data_directory() -> Path:
    """Return the directory of catalog.toml, grub/ and linux/: the checkout's, or the installed package's."""
    installed = Path(__file__).parent / "data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "images"


def load_catalog(path: Path | None = None) -> Catalog:
    """Return the catalog in `path`, or the shipped one; raises SpecError if it can't be read or is wrong."""
    path = path or data_directory() / "catalog.toml"
    table = load_toml(path, _CatalogTable)
    entries = {name: _entry(name, table, path=path) for name in sorted(table.images)}
    return Catalog(path=path, entries=entries)


def _entry(name: str, table: _CatalogTable, *, path: Path) -> CatalogEntry:
    one, wrong, usual = table.images[name], "", ARCHITECTURES[0].debian
    if not re.fullmatch(_IMAGE_NAME, name):
        wrong = "an image's name is lower-case letters, digits and '-'"
    elif one.architecture not in _ARCHITECTURES:
        wrong = str(unknown_name("architecture", one.architecture, _ARCHITECTURES))
    elif one.disk and one.architecture != usual:
        wrong = f"has a disk, whose loader is for {usual}"
    if wrong:
        raise SpecError(f"{path}: key 'images.{name}': {wrong}")
    return CatalogEntry(name=name, mirror=table.mirror, keyring=Path(table.keyring), **asdict(one))
