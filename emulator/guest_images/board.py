"""What runs on a board, in the place of an image: nothing is built or booted here, Linux is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator.errors import SpecError
from emulator.guest_images.own import own_tables
from emulator.guest_images.own_profile import profile_of
from emulator.guest_text.linux import LinuxProfile
from emulator.guest_text.printable import visible
from emulator.images.catalog import load_catalog
from emulator.lab_file.boards import LabBoard, lab_boards
from emulator.machine.spec import Board, MachineSpec, MachineType
from emulator.sac.image import SAC_IMAGES, SacConsole
from emulator.sac.knobs import SacKnobs

BOARD = "board"
"""Feature of what runs on a board, and what its cells have in place of a machine's name."""
NO_MACHINE = MachineSpec(name=BOARD, machine=MachineType.PC, kernel=Path("/nowhere"))
"""What stands where a cell's machine would: no QEMU is ever started for a board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardImage:
    """The Linux on a board; see `emulator.guest_images.kinds.GuestImage`.

    Attributes:
        board: the board.
        profile: its prompts, and who may log in.
        sha256: nothing: what the board has is its own.
    """

    board: LabBoard
    profile: LinuxProfile
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The board's name."""
        return self.board.name

    @property
    def features(self) -> frozenset[str]:
        """BOARD alone."""
        return frozenset({BOARD})

    @property
    def usual_board(self) -> Board:
        """Refuse: it is a board itself."""
        raise self._unbootable()

    @property
    def boot_timeout_s(self) -> float:
        """What its table says; else no limit but that of the scenario."""
        return self.board.table.boot_timeout_s or 0.0

    def provenance(self) -> dict[str, object]:
        """Return what it is, ready for JSON."""
        table = self.board.table
        return {"name": self.name, "own": BOARD, "console": visible(table.console), "baud": table.baud}

    def spec(self, board: Board) -> MachineSpec:
        """Refuse: no machine of ttylab's boots it."""
        del board
        raise self._unbootable()

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return nothing: its host name is its own."""
        del host_name
        return ()

    def linux_console(self) -> LinuxProfile:
        """Return its prompts, and who may log in."""
        return self.profile

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Refuse: Linux has no SAC."""
        del knobs
        raise SpecError(f"board {self.name} has no SAC")

    def _unbootable(self) -> SpecError:
        return SpecError(
            f"{self.name} is a board: no machine boots it; its cells read {self.name}.{BOARD}.none.1.SCENARIO"
        )


def board_features() -> Mapping[str, frozenset[str]]:
    """Return what each board offers, by name; raises SpecError if an image has its name."""
    boards = lab_boards()
    if boards and (both := sorted(boards.keys() & {*load_catalog().entries, *SAC_IMAGES, *own_tables()})):
        raise SpecError(f"boards.{both[0]}: an image has that name; choose another")
    return dict.fromkeys(boards, frozenset({BOARD}))


def open_board_image(name: str) -> BoardImage:
    """Return what runs on the board called `name`; raises SpecError if its password can't be had."""
    board = lab_boards()[name]
    return BoardImage(board=board, profile=profile_of(board.table, where=f"board {name}"))
