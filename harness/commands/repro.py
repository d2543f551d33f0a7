"""`ttylab repro`: boot one cell again with the same argv, image hashes and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands import say

EXAMPLES = """Examples:

  ttylab repro bookworm.pc.seabios.1.nmi-panic                as in the newest run

  ttylab repro bookworm.pc.seabios.1.nmi-panic --run results/20261123-051500-4f2a

  ttylab repro bookworm.pc.seabios.1.nmi-panic --interactive  boot its machine, and type yourself
"""


def repro(
    cell_id: Annotated[str, typer.Argument(metavar="CELL", help="Id of a cell, as reports show it.")],
    *,
    run: Annotated[Path | None, typer.Option(help="The run to reproduce; default: the newest.")] = None,
    interactive: Annotated[bool, typer.Option(help="Attach this terminal instead of playing.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Go on even if the image differs.")] = False,
    time_scale: Annotated[float, typer.Option(help="Multiply every wait, for slow hosts.")] = 1.0,
    port: Annotated[str, typer.Option(metavar="URL", help="The serial port where the guest is.")] = "",
) -> int:
    """Boot one cell again exactly as a run did, and play its scenario.

    Exit codes are those of `ttylab run`; 2 also if the image or the machine is no longer the recorded one.
    """
    from emulator.errors import SpecError  # noqa: PLC0415
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

    if interactive and port:
        raise SpecError("--interactive boots a machine here; to join a port: ttylab attach --port URL")
    cell = parse_cell_id(cell_id, images=image_features(), scenarios=LIBRARY)
    scenario = find_scenario(cell.scenario)
    lab = Lab(run_dir=(RESULTS / f"{REPRO_PREFIX}{new_run_id()}").absolute(), time_scale=time_scale)
    image = lab.guest_image(cell.image)
    spec = guest_spec(cell, scenario, image)
    message, lab.cold = recall(cell, run, image=image, now=spec, changed=changed, port=port)
    say(f"ttylab: {message}", err=True)
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
    say(f"{result.status.upper()}{': ' + result.message if result.message else ''}")
    say(f"transcript: {lab.run_dir / result.directory / 'console.bin'}")
    return {"passed": 0, "skipped": 0, "failed": 1}.get(result.status, 3)


def _say_step(number: int, text: str) -> None:
    say(f"  {number:2} {text}", err=True)
