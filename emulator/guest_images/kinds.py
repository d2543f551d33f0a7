"""The kinds of guest images: what the lab asks of an image, and the one list that names the kinds.

A new kind is a module with a class that offers what `GuestImage` asks, and one line in `KINDS`. No other
module asks an image what kind it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from emulator.errors import ImageError, unknown_name
from emulator.guest_images.board import board_features, open_board_image
from emulator.guest_images.own import open_table, own_features, own_tables
from emulator.guest_text.linux import LinuxProfile
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

    @property
    def features(self) -> frozenset[str]:
        """What scenarios may ask for: what speaks on its console ("sac"), its devices, its firmware."""

    @property
    def sha256(self) -> Mapping[str, str]:
        """Hash of each file that a reproduction compares, by name."""

    @property
    def usual_board(self) -> Board:
        """What it boots on by default."""

    @property
    def boot_timeout_s(self) -> float:
        """Seconds that a boot may take; 0 sets no limit but that of the scenario."""

    def provenance(self) -> dict[str, object]:
        """Return what it is and where it comes from, ready for JSON: for reports."""

    def spec(self, board: Board) -> MachineSpec:
        """Return the machine that boots it; raises SpecError if there is none, FileError for its files."""

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return the words for `Board.words` that give the guest this host name."""

    def linux_console(self) -> LinuxProfile:
        """Prompts and account of Linux; raises SpecError where there is none, or no password to be had."""

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """What the driver of a SAC has to know; raises SpecError where there is no SAC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKind:
    """One kind of images.

    Attributes:
        names: returns the names of its images; raises ImageError if what is known of them is damaged.
        features: returns what each of them offers to scenarios, by name; none need be built for that.
        open: returns the named image; `build` says whether one that is not built yet is built or refused.
            Raises SpecError if its file is gone or was changed, ImageError or MissingPrerequisite if it
            can't be had.
    """

    names: Callable[[], Collection[str]]
    features: Callable[[], Mapping[str, frozenset[str]]]
    open: Callable[[str, bool], GuestImage]


KINDS = (
    ImageKind(  # Debian's kernels with ttylab's initramfs, from the catalog
        names=lambda: load_catalog().entries,
        features=lambda: {name: entry.features for name, entry in load_catalog().entries.items()},
        open=lambda name, build: ImageStore().ensure(name) if build else ImageStore().open(name),
    ),
    ImageKind(  # ttylab's own guest that speaks EMS and SAC; `spec` composes its files
        names=lambda: SAC_IMAGES,
        features=lambda: {name: sac_features(name) for name in SAC_IMAGES},
        open=lambda name, _build: sac_image(name),
    ),
    ImageKind(  # kernels and disks of users, from their lab.toml
        names=own_tables,
        features=own_features,
        open=lambda name, build: open_table(name, own_tables()[name], build=build),
    ),
    ImageKind(  # what runs on users' boards
        names=board_features,
        features=board_features,
        open=lambda name, _build: open_board_image(name),
    ),
    ImageKind(  # Windows that users registered: a path, never a copy
        names=lambda: WindowsRegistry().images(),
        features=lambda: {name: image.features for name, image in WindowsRegistry().images().items()},
        open=lambda name, _build: WindowsRegistry().open(name),
    ),
)


def image_features() -> Mapping[str, frozenset[str]]:
    """Return what each image offers, the user's own included; nothing is built.

    Images whose registry is damaged are left out (`registry_problem`): the others can still be run.
    """
    found: dict[str, frozenset[str]] = {}
    for kind in KINDS:
        with suppress(ImageError):
            found |= kind.features()
    return found


def registry_problem() -> str:
    """Return why the registry of the user's images can't be read, and the remedy; empty if it can."""
    try:
        WindowsRegistry().images()
    except ImageError as error:
        return str(error).splitlines()[0]
    return ""


def open_image(name: str, *, build: bool = True) -> GuestImage:
    """Return an image of any kind; one that is not built yet is built, or refused without `build`.

    Raises:
        SpecError: there is no image of that name, or its file is gone or was changed.
        ImageError, MissingPrerequisite: it can't be had.
    """
    for kind in KINDS:
        if name in kind.names():
            return kind.open(name, build)  # a damaged registry stops only those who look for an image in it
    raise unknown_name("image", name, image_features())
