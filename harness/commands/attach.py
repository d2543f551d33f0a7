"""`ttylab attach`: join the console of a running machine, or of a serial port."""

from __future__ import annotations

import json as json_format
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from emulator.console.port_address import with_lines
from harness.commands import say
from harness.commands.port_options import Dtr, Rts

EXAMPLES = """Examples:

  ttylab attach                     the only running machine, read only

  ttylab attach nmi-panic --write   a cell of a running matrix, to type into

  ttylab attach nmi-panic --gdb     opens it to gdb, and prints the line for gdb

  ttylab attach --list              what is running

  ttylab attach --port /dev/ttyUSB0 a real port; also socket://HOST:PORT, rfc2217://HOST:PORT
"""


def attach(
    name: Annotated[str, typer.Argument(help="Id of the machine, or part of its label.")] = "",
    *,
    write: Annotated[bool, typer.Option("--write", help="Type into the guest too.")] = False,
    gdb: Annotated[
        bool, typer.Option("--gdb", help="Open it to gdb instead, until Enter or Ctrl-C.")
    ] = False,
    port: Annotated[str, typer.Option(metavar="URL", help="A serial port instead of a machine.")] = "",
    baudrate: Annotated[int, typer.Option(help="Baud rate of the port.")] = 115200,
    dtr: Dtr = None,
    rts: Rts = None,
    from_end: Annotated[bool, typer.Option("--from-end", help="Do not replay what came before.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show the running machines.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --list: one JSON array.")] = False,
) -> None:
    """Join a console, read only unless --write is given; a port can always be typed into."""
    from emulator.machine.ledger import list_machines  # noqa: PLC0415
    from harness.terminal.interactive import choose_machine, links_of  # noqa: PLC0415
    from harness.terminal.terminal import Terminal, greet  # noqa: PLC0415

    if port := with_lines(port, dtr=dtr, rts=rts):
        _attach_port(port, baudrate)
        return
    machines = list_machines()
    if json:
        say(json_format.dumps([asdict(one) for one in machines], indent=1))
        return
    if listing:
        lines = (f"{one.id}  {one.label}  {one.console}" for one in machines)
        say("\n".join(lines) or "No machine is running.")
        return
    entry = choose_machine(machines, name)
    if gdb:
        from harness.terminal.by_hand import debug  # noqa: PLC0415

        debug(entry, tell=lambda text: say(text, err=True), show=say)
        return
    greet(f"{entry.label} ({entry.id})", writable=write)
    start: Literal["start", "end"] = "end" if from_end else "start"
    if Terminal(links=links_of(entry), writable=write, start=start).run():
        typer.echo(f"\nttylab: the console of {entry.label} ({entry.id}) has ended", err=True)


def _attach_port(url: str, baudrate: int) -> None:
    from harness.targets.serial_port import loss_of, open_port  # noqa: PLC0415
    from harness.terminal.interactive import links_in  # noqa: PLC0415
    from harness.terminal.terminal import Terminal, greet  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(prefix="ttylab-port-") as scratch,
        open_port(url, baudrate=baudrate, links_dir=Path(scratch)) as target,
    ):
        greet(f"{url} at {baudrate} baud", writable=True)
        Terminal(links=links_in(Path(scratch)), writable=True, ended=target.ended).run()
        if (loss := loss_of(target)) is not None:
            raise loss
