"""`ttylab repro`: boot one cell again with the same argv, image hashes and seed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

from typer import Argument, Option

from emulator.errors import SpecError
from harness.commands import say
from harness.commands.options import Hold, HoldCommand

if TYPE_CHECKING:
    from harness.run.cell_run import CellRun
    from harness.run.held import Holding
    from harness.run.repro import Recalled

Command = HoldCommand
EXAMPLES = """Examples:
  ttylab repro bookworm.pc.seabios.1.nmi-panic                as in the newest run
  ttylab repro bookworm.pc.seabios.1.nmi-panic --run results/20261123-051500-4f2a
  ttylab repro bookworm.pc.seabios.1.nmi-panic --hold-on-failure=30   keep it for `ttylab attach`, qmp, dump
  ttylab repro bookworm.pc.seabios.1.nmi-panic --interactive  boot its machine, and type yourself
"""


_Cell = Annotated[str, Argument(metavar="CELL", help="Id of a cell or a test, as reports show it.")]
_Scale = Annotated[float | None, Option(help="Multiply every wait; default: as the run did.")]


def repro(
    cell_id: _Cell,
    *,
    run: Annotated[Path | None, Option(help="The run to reproduce; default: the newest.")] = None,
    interactive: Annotated[bool, Option(help="Attach this terminal instead of playing.")] = False,
    changed: Annotated[bool, Option("--changed", help="Go on even if the image differs.")] = False,
    time_scale: _Scale = None,
    port: Annotated[str, Option(metavar="URL", help="The serial port where the guest is.")] = "",
    hold_on_failure: Hold = "",
) -> int:
    """Boot one cell again exactly as a run did, and say whether it ends as it did there.

    Exit codes are those of `ttylab run`; 2 also if the image or the machine is no longer the recorded one.
    """
    from emulator.guest_images.board import BOARD  # noqa: PLC0415
    from emulator.places import RESULTS  # noqa: PLC0415
    from harness.cells.matrix import known_cell  # noqa: PLC0415
    from harness.run.cell_run import CellRun  # noqa: PLC0415
    from harness.run.latest import REPRO_PREFIX, new_run_id  # noqa: PLC0415
    from harness.run.repro import as_recorded, find_run, recall  # noqa: PLC0415
    from harness.run.wanted import wanted_of  # noqa: PLC0415
    from harness.scenarios import find_scenario  # noqa: PLC0415
    from harness.snapshots.lab import Lab  # noqa: PLC0415
    from harness.targets import target_of  # noqa: PLC0415
    from harness.terminal.interactive import run_interactive  # noqa: PLC0415

    if "::" in cell_id:
        _become_test(cell_id, run)
    run = find_run(cell_id, run)
    cell = as_recorded(known_cell(cell_id), run)
    scenario, target = find_scenario(cell.scenario), target_of(cell.image, cell.machine, port)
    address, port = port or None, port or (cell.image if cell.machine == BOARD else "")
    lab = Lab(run_dir=(RESULTS / f"{REPRO_PREFIX}{new_run_id()}").absolute(), time_scale=time_scale or 1.0)
    image = lab.guest_image(cell.image)
    spec = wanted_of(cell, scenario, image).spec
    recalled = recall(cell, run, lab=lab, image=image, now=spec, changed=changed, port=port)
    _introduce(recalled, cell_id, port)
    if recalled is not None:
        lab.cold, lab.time_scale = recalled.booted, time_scale or recalled.was.time_scale
    if interactive:
        if port:
            raise SpecError(
                f"--interactive boots a machine here; to join a port: ttylab attach --port {port}"
            )
        run_interactive(spec, lab, label=f"repro {cell.id}")
        return 0
    played = CellRun(cell=cell, scenario=scenario, lab=lab, target=target, address=address)
    return _play(played, recalled, hold=hold_on_failure)


def _play(played: CellRun, recalled: Recalled | None, *, hold: str) -> int:
    """Play the cell again, say how it ended, and hold its guest if that is wanted; return the exit code."""
    from harness.run.repro import told  # noqa: PLC0415

    played.on_step = lambda number, text: say(f"  {number:2} {text}", err=True)
    if recalled is not None:
        played.time_limit_s, played.repro = recalled.was.time_limit_s, recalled.was.repro
    with _holding(hold, played.lab.run_dir) as played.holding:
        result = played.run()
        say(recalled.compare(result) if recalled else told(result))
        for line in result.held:
            say(f"        {line}", err=True)
    say(f"transcript: {played.directory / 'console.bin'}")
    return {"passed": 0, "skipped": 0, "failed": 1}.get(result.status, 3)


def _become_test(node_id: str, run: Path | None) -> NoReturn:
    """Run a user's test again, by the command that its run recorded."""
    from harness.run.repro import command_of  # noqa: PLC0415

    words = command_of(node_id, run)
    say(f"ttylab: {shlex.join(words)}", err=True)
    os.execvp(words[0], words)  # noqa: S606  # no shell is wanted


def _introduce(recalled: Recalled | None, cell_id: str, port: str) -> None:
    doing = "playing" if port else "booting"
    nothing = f"no run here has {cell_id}; {doing} it as it is defined now"
    say(f"ttylab: {recalled.introduce() if recalled else nothing}", err=True)


@contextmanager
def _holding(minutes: str, run_dir: Path) -> Iterator[Holding | None]:
    """Give what keeps the guest if its cell fails, and stay until people have left it."""
    from harness.run.held import Holding, parse_minutes  # noqa: PLC0415
    from harness.run.interrupts import enter_key  # noqa: PLC0415

    if not minutes:
        yield None
        return
    with closing(Holding(run_dir, minutes=parse_minutes(minutes), is_worker=False)) as holding:
        yield holding
        with enter_key() as entered:
            holding.wait(entered)
