"""`ttylab repeat`: one cell many times under jitter; how often does it fail, and of what?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

  ttylab repeat bullseye.pc.seabios.1.sysrq-help            200 times, with all kinds of jitter

  ttylab repeat CELL -n 50 -j 2 --jitter delay              two at once, only the stimuli are late

  ttylab repeat CELL --jitter none                          undisturbed: the same again and again

  ttylab repeat CELL --for 600                              as often as goes into ten minutes

  ttylab repeat CELL --seed 7 --only 17                     one repetition that failed, again
"""

_Cell = Annotated[str, typer.Argument(metavar="CELL", help="Id of a cell, as reports show it.")]
_Count = Annotated[
    int | None, typer.Option("-n", min=1, help="Repetitions; default 200, with --for no limit.")
]
_Jobs = Annotated[str, typer.Option("-j", "--jobs", help="Guests at once; auto: by cores and memory.")]
_Kinds = Annotated[
    str, typer.Option(metavar="KINDS", help="Some of load,icount,delay, or none; default all.")
]
_Seed = Annotated[int | None, typer.Option(min=0, help="Of the plan; default a random one.")]
_Only = Annotated[int | None, typer.Option(min=1, help="Play only this repetition of the plan.")]
_Seconds = Annotated[float | None, typer.Option("--for", metavar="SECONDS", help="Begin none after so long.")]
_Stop = Annotated[bool, typer.Option("--stop-on-failure", help="Begin none after a failure.")]
_Keep = Annotated[bool, typer.Option("--keep", help="Keep evidence of those that passed too.")]
_Cold = Annotated[bool, typer.Option("--cold", help="Boot every machine, fork none.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
_RunDir = Annotated[Path | None, typer.Option(help="Where evidence goes; default results/repeat-ID.")]
_Port = Annotated[str, typer.Option(metavar="URL", help="Play on this serial port, not on a machine here.")]
_Scale = Annotated[float, typer.Option(help="Multiply every wait, for slow hosts.")]

app = typer.Typer(add_completion=False)


@app.command("repeat", epilog=EXAMPLES)
def repeat(
    cell_id: _Cell,
    *,
    number: _Count = None,
    jobs: _Jobs = "auto",
    jitter: _Kinds = "",
    seed: _Seed = None,
    only: _Only = None,
    seconds: _Seconds = None,
    stop_on_failure: _Stop = False,
    keep: _Keep = False,
    cold: _Cold = False,
    json: _Json = False,
    run_dir: _RunDir = None,
    time_scale: _Scale = 1.0,
    port: _Port = "",
) -> int:
    """Repeat one cell under jitter, and tell how probably it fails (with a 95 % interval) and of what.

    Machines go on from a snapshot. Jitter is busy processes on the host, guest time counted in
    instructions, and a wait before each stimulus. Exit code 0: none failed, 1: some did, 2: wrong input,
    3: the lab broke, 130: interrupted.
    """
    from harness.repeat.hunt import HuntRequest, hunt  # noqa: PLC0415
    from harness.repeat.text import render_summary  # noqa: PLC0415

    request = HuntRequest(
        cell=cell_id,
        count=number,
        jobs=jobs,
        jitter=jitter,
        seed=seed,
        only=only,
        seconds=seconds,
        stop_on_failure=stop_on_failure,
        keep=keep,
        cold=cold,
        time_scale=time_scale,
        port=port,
    )
    summary = hunt(request, run_dir)
    typer.echo(summary.to_json() if json else render_summary(summary))
    return summary.exit_code
