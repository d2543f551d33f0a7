"""A kind of guest images that only tests have: bookworm under another name, with a word of its own."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.errors import SpecError
from emulator.images.image import Image
from emulator.images.kinds import GuestImage
from emulator.images.store import ImageStore
from emulator.machine.spec import Board, MachineSpec
from emulator.sac.image import SacConsole
from emulator.sac.knobs import SacKnobs

NAME = "twin"
WORD = "ttylab.twin"


@dataclass(frozen=True)
class TwinImage:
    """One twin; see `emulator.images.kinds.GuestImage`."""

    original: Image
    name: str = NAME
    boot_timeout_s: float = 0.0

    @property
    def features(self) -> frozenset[str]:
        return self.original.features

    @property
    def sha256(self) -> Mapping[str, str]:
        return self.original.sha256

    @property
    def usual_board(self) -> Board:
        return self.original.usual_board

    def provenance(self) -> dict[str, object]:
        return {"name": NAME, "twin_of": self.original.name, "sha256": dict(self.sha256)}

    def spec(self, board: Board) -> MachineSpec:
        return self.original.spec(replace(board, words=(WORD, *board.words)))

    def named(self, host_name: str) -> tuple[str, ...]:
        return self.original.named(host_name)

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        raise SpecError(f"image {self.name} has no SAC")

    def write_disk(self, path: Path) -> None:
        raise SpecError(f"image {self.name}: {path} can't be a disk of its own")


class TwinImages:
    """The kind."""

    def names(self) -> Collection[str]:
        return (NAME,)

    def features(self, name: str) -> frozenset[str]:
        return frozenset({"pvpanic", "spin"})

    def open(self, name: str, *, build: bool) -> GuestImage:
        store = ImageStore()
        return TwinImage(store.ensure("bookworm") if build else store.open("bookworm"))
