"""What runs on a board, in the place of an image: nothing is built or booted here, Linux is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator.errors import SpecError
from emulator.guest_images.own import own_tables
from emulator.guest_images.own_profile import OwnGuest, profile_of
from emulator.guest_text.printable import visible
from emulator.images.catalog import load_catalog
from emulator.lab_file.boards import lab_boards
from emulator.lab_file.tables import BoardTable
from emulator.machine.spec import Board, MachineSpec, MachineType
from emulator.sac.image import SAC_IMAGES

BOARD = "board"
"""Feature of what runs on a board, and what its cells have in place of a machine's name."""
NO_MACHINE = MachineSpec(name=BOARD, machine=MachineType.PC, kernel=Path("/nowhere"))
"""What stands where a cell's machine would: no QEMU is ever started for a board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardImage(OwnGuest):
    """The Linux on a board; see `emulator.guest_images.kinds.GuestImage`.

    Attributes:
        name: the board's.
        table: what its user said of it.
        sha256: nothing: what the board has is its own.
    """

    table: BoardTable
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def features(self) -> frozenset[str]:
        """BOARD alone."""
        return frozenset({BOARD})

    @property
    def usual_board(self) -> Board:
        """Refuse: it is a board itself."""
        raise self._unbootable()

    def provenance(self) -> dict[str, object]:
        """Return what it is, ready for JSON."""
        console = {"console": visible(self.table.console), "baud": self.table.baud}
        return {"name": self.name, "own": BOARD, **console}

    def spec(self, board: Board) -> MachineSpec:
        """Refuse: no machine of ttylab's boots it."""
        del board
        raise self._unbootable()

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
    table = lab_boards()[name].table
    return BoardImage(name=name, table=table, profile=profile_of(table, where=f"board {name}"))
