"""The kinds of guest images there are: what the lab asks of each, and the one list that names them.

A new kind is a module with a class that offers what `ImageKind` asks, whose images offer what `GuestImage`
asks, and one line in `KINDS`. Nobody else asks an image what it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from emulator.errors import unknown_name
from emulator.images.catalog import load_catalog
from emulator.images.store import ImageStore
from emulator.machine.spec import Board, MachineSpec
from emulator.sac.image import SAC_IMAGES, SacConsole, sac_features, sac_image
from emulator.sac.knobs import SacKnobs
from emulator.windows.registry import WindowsRegistry

REGISTERED = "registered"
"""Feature of an image that its user registered on this host: a matrix's "all" leaves it out."""


class GuestImage(Protocol):
    """A guest that can be booted, whatever kind of image it is."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def features(self) -> frozenset[str]:
        """What scenarios may ask of it: who speaks on its console ("sac"), its devices, its firmware."""
        ...

    @property
    def sha256(self) -> Mapping[str, str]:
        """Of each file that a reproduction compares, by its name."""
        ...

    @property
    def usual_board(self) -> Board:
        """What it boots on where nobody says otherwise."""
        ...

    @property
    def boot_timeout_s(self) -> float:
        """Seconds that a boot may take; 0 is as long as scenarios allow."""
        ...

    def provenance(self) -> dict[str, object]:
        """Return, ready for JSON, what it is and where it comes from: for reports."""
        ...

    def spec(self, board: Board) -> MachineSpec:
        """Return the machine that boots it.

        Raises:
            SpecError: there is no such machine.
            ImageError: a file that it boots from can't be written.
        """
        ...

    def named(self, host_name: str) -> tuple[str, ...]:
        """Return the words that give the guest a name of its own."""
        ...

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Return what the driver of a SAC has to know.

        Raises:
            SpecError: it has no SAC.
        """
        ...

    def write_disk(self, path: Path) -> None:
        """Write a disk of the guest's to a new file, which the host can read once the guest has written.

        Raises:
            SpecError: no such disk can be had.
            ImageError: the package's data are damaged.
            OSError: the file is there, or can't be written.
        """
        ...


class ImageKind(Protocol):
    """One kind of images."""

    def names(self) -> Collection[str]:
        """Return which there are.

        Raises:
            ImageError: what is known of them is damaged.
        """
        ...

    def features(self, name: str) -> frozenset[str]:
        """Return what an image offers to scenarios; it need not be built for that."""
        ...

    def open(self, name: str, *, build: bool) -> GuestImage:
        """Return an image; where it must be built and is not, it is built first or refused.

        Raises:
            SpecError: its file is gone or was changed.
            ImageError, MissingPrerequisite: it can't be had.
        """
        ...


class LinuxImages:
    """Debian's kernels with an initramfs of ttylab's, out of the catalog."""

    def names(self) -> Collection[str]:
        """Return the catalog's names."""
        return load_catalog().entries

    def features(self, name: str) -> frozenset[str]:
        """Return the devices that its kernel has drivers for."""
        return load_catalog().entries[name].offers

    def open(self, name: str, *, build: bool) -> GuestImage:
        """Return an image of the user's store."""
        store = ImageStore()
        return store.ensure(name) if build else store.open(name)


class SacImages:
    """ttylab's own guest that speaks EMS and SAC; it is not Windows."""

    def names(self) -> Collection[str]:
        """Return a name for each release whose texts it can say."""
        return SAC_IMAGES

    def features(self, name: str) -> frozenset[str]:
        """Return the flags of its profile, and that it has knobs."""
        return sac_features(name)

    def open(self, name: str, *, build: bool) -> GuestImage:
        """Return the guest; its files are composed when a machine is asked for."""
        del build
        return sac_image(name)


class WindowsImages:
    """Windows that users registered: a path, never a copy."""

    def names(self) -> Collection[str]:
        """Return what is registered here."""
        return WindowsRegistry().images()

    def features(self, name: str) -> frozenset[str]:
        """Return what its release has, and the firmware that it boots under."""
        return WindowsRegistry().images()[name].features

    def open(self, name: str, *, build: bool) -> GuestImage:
        """Return an image whose file still is what was registered."""
        del build
        return WindowsRegistry().open(name)


KINDS: tuple[ImageKind, ...] = (LinuxImages(), SacImages(), WindowsImages())


def image_features() -> Mapping[str, frozenset[str]]:
    """Return what each image offers, the user's own included; nothing is built.

    Raises:
        ImageError: the registry of the user's images is damaged.
    """
    return {name: kind.features(name) for kind in KINDS for name in kind.names()}


def open_image(name: str, *, build: bool = True) -> GuestImage:
    """Return an image of any kind.

    Args:
        name: what people call it.
        build: whether one that is not built yet is built; else it is refused.

    Raises:
        SpecError: there is none of that name, or its file is gone or was changed.
        ImageError, MissingPrerequisite: it can't be had.
    """
    for kind in KINDS:
        if name in kind.names():
            return kind.open(name, build=build)
    raise unknown_name("image", name, image_features())
