"""The options that every command with `--port` has for the port's modem lines."""

from __future__ import annotations

from typing import Annotated

import typer

_SAYS = "Assert {} as the port is opened, or not; default: as the URL says, else asserted."
Dtr = Annotated[bool | None, typer.Option("--dtr/--no-dtr", help=_SAYS.format("DTR"))]
Rts = Annotated[bool | None, typer.Option("--rts/--no-rts", help=_SAYS.format("RTS"))]
