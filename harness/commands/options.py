"""Options that several commands have: a port's modem lines and speed, keeping the guest of a failed cell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from typer import Option
from typer.core import TyperCommand

from emulator.console.port_address import with_lines

_SAYS = "Assert {} as the port is opened, or not; default: as the URL or lab.toml says, else asserted."
Dtr = Annotated[bool | None, Option("--dtr/--no-dtr", help=_SAYS.format("DTR"))]
Rts = Annotated[bool | None, Option("--rts/--no-rts", help=_SAYS.format("RTS"))]
Baudrate = Annotated[int | None, Option(help="Baud rate of the port; default: 115200, or the board's.")]
_BAUD = 115200


def chosen_port(port: str, baudrate: int | None, *, dtr: bool | None, rts: bool | None) -> tuple[str, int]:
    """Return URL and baud rate of a `--port`: a URL or a board's name; "" stays ""; raises SpecError."""
    from emulator.lab_file.boards import lab_boards  # noqa: PLC0415 - pydantic

    board = lab_boards().get(port) if port else None
    if board is None:
        return with_lines(port, dtr=dtr, rts=rts), baudrate or _BAUD
    own = with_lines(board.table.console, dtr=board.table.dtr, rts=board.table.rts)
    return with_lines(own, dtr=dtr, rts=rts), baudrate or board.table.baud


HOLD = "--hold-on-failure"
HOLD_MINUTES = "15"
"""How long a guest is held where the option says nothing else."""
Hold = Annotated[
    str,
    Option(HOLD, metavar="[=MINUTES]", help="Keep a failed guest for those who join it; default: 15."),
]


def with_minutes(args: Iterable[str]) -> list[str]:
    """Return `args` with the usual minutes for an option that says none; what follows is no value of it."""
    return [f"{HOLD}={HOLD_MINUTES}" if word == HOLD else word for word in args]


class HoldCommand(TyperCommand):
    """A command with --hold-on-failure, whose value may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill in the usual value."""
        return super().parse_args(ctx, with_minutes(args))
