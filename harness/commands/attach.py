"""`ttylab attach`: join the console of a running machine, or of a serial port."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from harness.commands import say
from harness.commands.options import Baudrate, Dtr, Rts, chosen_port

EXAMPLES = """Examples:
  ttylab attach                     the only running machine, read only
  ttylab attach nmi-panic --write   a cell of a running matrix, to type into
  ttylab attach nmi-panic --gdb     opens it to gdb, and prints the line for gdb
  ttylab attach --list              what is running
  ttylab attach --port /dev/ttyUSB0 a real port; also socket://HOST:PORT, rfc2217://HOST:PORT
  ttylab attach bench1              a board of lab.toml, with its reset, power and NMI in the menu
"""


def attach(
    name: Annotated[str, Argument(help="Id of the machine, or part of its label; or a board.")] = "",
    *,
    write: Annotated[bool, Option("--write", help="Type into the guest too.")] = False,
    gdb: Annotated[bool, Option("--gdb", help="Open it to gdb instead, until Enter or Ctrl-C.")] = False,
    port: Annotated[str, Option(metavar="URL", help="A serial port, or a board, instead of a machine.")] = "",
    baudrate: Baudrate = None,
    dtr: Dtr = None,
    rts: Rts = None,
    from_end: Annotated[bool, Option("--from-end", help="Do not replay what came before.")] = False,
    listing: Annotated[bool, Option("--list", help="Show the running machines.")] = False,
    json: Annotated[bool, Option("--json", help="With --list: one JSON array.")] = False,
) -> None:
    """Join a console, read only unless --write is given; a port can always be typed into."""
    from emulator.lab_file.boards import lab_boards  # noqa: PLC0415
    from emulator.machine.ledger import list_machines  # noqa: PLC0415
    from harness.targets.serial_port import open_port  # noqa: PLC0415
    from harness.terminal.interactive import choose_machine, links_of, run_board, run_line  # noqa: PLC0415
    from harness.terminal.terminal import Terminal, greet  # noqa: PLC0415

    if (port or name) in lab_boards() and baudrate is dtr is rts is None:
        run_board(port or name, boots=False)
        return
    url, baud = chosen_port(port, baudrate, dtr=dtr, rts=rts)
    if url:
        run_line(lambda links: open_port(url, baudrate=baud, links_dir=links), f"{url} at {baud} baud")
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
