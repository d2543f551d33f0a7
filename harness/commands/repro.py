"""`ttylab repro`: boot one cell again with the same argv, image hashes and seed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

  ttylab repro bookworm.pc.seabios.1.nmi-panic                as the newest run had it

  ttylab repro bookworm.pc.seabios.1.nmi-panic --run results/20261123-051500-4f2a

  ttylab repro bookworm.pc.seabios.1.nmi-panic --interactive  boot its machine, type yourself
"""

app = typer.Typer(add_completion=False)


@app.command("repro", epilog=EXAMPLES)
def repro(
    cell_id: Annotated[str, typer.Argument(metavar="CELL", help="Id of a cell, as reports show it.")],
    *,
    run: Annotated[Path | None, typer.Option(help="The run to reproduce; default the newest.")] = None,
    interactive: Annotated[bool, typer.Option(help="Attach this terminal, play nothing.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Go on although the image differs.")] = False,
    time_scale: Annotated[float, typer.Option(help="Multiply every wait, for slow hosts.")] = 1.0,
    port: Annotated[str, typer.Option(metavar="URL", help="The serial port where the guest is.")] = "",
) -> int:
    """Boot one cell again exactly as a run did, and play its scenario.

    Exit code as `ttylab run`; 2 if the image or the machine is no longer the recorded one.
    """
    from emulator.images.kinds import image_features  # noqa: PLC0415
    from emulator.places import RESULTS  # noqa: PLC0415
    from harness.cells.cell import parse_cell_id  # noqa: PLC0415
    from harness.plugin.run_recorder import new_run_id  # noqa: PLC0415
    from harness.run.cell_run import CellRun  # noqa: PLC0415
    from harness.run.lab import Lab  # noqa: PLC0415
    from harness.run.repro import REPRO_PREFIX, recall  # noqa: PLC0415
    from harness.run.wanted import guest_spec  # noqa: PLC0415
    from harness.scenarios import LIBRARY, find_scenario  # noqa: PLC0415
    from harness.targets import target_at  # noqa: PLC0415
    from harness.terminal.interactive import run_interactive  # noqa: PLC0415

    cell = parse_cell_id(cell_id, images=image_features(), scenarios=LIBRARY)
    scenario = find_scenario(cell.scenario)
    lab = Lab(run_dir=(RESULTS / f"{REPRO_PREFIX}{new_run_id()}").absolute(), time_scale=time_scale)
    image = lab.guest_image(cell.image)
    spec = guest_spec(cell, scenario, image)
    told, lab.cold = recall(cell, run, image=image, now=spec, changed=changed, port=port)
    sys.stderr.write(f"ttylab: {told}\n")
    if interactive:
        run_interactive(spec, lab, label=f"repro {cell.id}")
        return 0
    result = CellRun(
        cell=cell,
        scenario=scenario,
        lab=lab,
        target=target_at(port),
        address=port or None,
        on_step=_say_step,
    ).run()
    _say_result(result.status, result.message, lab.run_dir / result.directory)
    return {"passed": 0, "skipped": 0, "failed": 1}.get(result.status, 3)


def _say_step(number: int, text: str) -> None:
    sys.stderr.write(f"  {number:2} {text}\n")


def _say_result(status: str, message: str, directory: Path) -> None:
    typer.echo(f"{status.upper()}{': ' + message if message else ''}")
    typer.echo(f"transcript: {directory / 'console.bin'}")
