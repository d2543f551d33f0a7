"""The options that every command with `--port` has for the port's modem lines and speed."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from emulator.console.port_address import with_lines
from emulator.lab_file.boards import lab_boards

_SAYS = "Assert {} as the port is opened, or not; default: as the URL or lab.toml says, else asserted."
Dtr = Annotated[bool | None, Option("--dtr/--no-dtr", help=_SAYS.format("DTR"))]
Rts = Annotated[bool | None, Option("--rts/--no-rts", help=_SAYS.format("RTS"))]
Baudrate = Annotated[int | None, Option(help="Baud rate of the port; default: 115200, or the board's.")]
_BAUD = 115200


def chosen_port(port: str, baudrate: int | None, *, dtr: bool | None, rts: bool | None) -> tuple[str, int]:
    """Return URL and baud rate of a `--port`: a URL or a board's name; "" stays ""; raises SpecError."""
    board = lab_boards().get(port) if port else None
    if board is None:
        return with_lines(port, dtr=dtr, rts=rts), baudrate or _BAUD
    own = with_lines(board.table.console, dtr=board.table.dtr, rts=board.table.rts)
    return with_lines(own, dtr=dtr, rts=rts), baudrate or board.table.baud
