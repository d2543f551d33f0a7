"""A kind of guest images that only tests have: bookworm under another name, with a word of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emulator.errors import SpecError
from emulator.guest_images.kinds import GuestImage, ImageKind
from emulator.guest_text.linux import LinuxProfile
from emulator.images.image import Image
from emulator.images.store import ImageStore
from emulator.machine.spec import Board, MachineSpec
from emulator.sac.image import SacConsole
from emulator.sac.knobs import SacKnobs

NAME = "twin"
WORD = "ttylab.twin"


@dataclass(frozen=True)
class TwinImage:
    """One twin; see `emulator.guest_images.kinds.GuestImage`."""

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

    def name_words(self, host_name: str) -> tuple[str, ...]:
        return self.original.name_words(host_name)

    def linux_console(self) -> LinuxProfile:
        return self.original.linux_console()

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        raise SpecError(f"image {self.name} has no SAC")


def open_twin(_name: str, build: bool) -> GuestImage:
    store = ImageStore()
    return TwinImage(store.ensure("bookworm") if build else store.open("bookworm"))


TWIN_IMAGES = ImageKind(
    names=lambda: (NAME,),
    features=lambda: {NAME: frozenset({"pvpanic", "spin"})},
    open=open_twin,
)
