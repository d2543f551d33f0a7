"""`ttylab repeat`: play one cell many times under jitter; how often does it fail, and why?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from harness.commands import say

EXAMPLES = """Examples:
  ttylab repeat bullseye.pc.seabios.1.sysrq-help            200 times, with every kind of jitter
  ttylab repeat CELL -n 50 -j 2 --jitter delay              two at once, with only the stimuli delayed
  ttylab repeat CELL --jitter none                          undisturbed: the same every time
  ttylab repeat CELL --for 600                              as often as ten minutes allow
  ttylab repeat CELL --seed 7 --only 17                     one failed repetition again
"""

_Cell = Annotated[str, Argument(metavar="CELL", help="Id of a cell, as reports show it.")]
_Count = Annotated[int | None, Option("-n", min=1, help="Repetitions; default: 200, no limit with --for.")]
_Jobs = Annotated[str, Option("-j", "--jobs", help="Guests at once; auto: by cores and memory.")]
_Kinds = Annotated[str, Option(metavar="KINDS", help="Some of load,icount,delay, or none; default: all.")]
_Seed = Annotated[int | None, Option(min=0, help="Seed of the plan; default: random.")]
_Only = Annotated[int | None, Option(min=1, help="Play only this repetition of the plan.")]
_Seconds = Annotated[float | None, Option("--for", metavar="SECONDS", help="Start none after this long.")]
_Stop = Annotated[bool, Option("--stop-on-failure", help="Start none after a failure.")]
_Keep = Annotated[bool, Option("--keep", help="Keep the evidence of passes too.")]
_Cold = Annotated[bool, Option("--cold", help="Boot every machine, fork none.")]
_Json = Annotated[bool, Option("--json", help="Print one JSON object.")]
_RunDir = Annotated[Path | None, Option(help="Where evidence goes; default: results/repeat-ID.")]
_Port = Annotated[
    str, Option(metavar="URL", help="Play on this serial port instead of a machine of ttylab's.")
]
_Scale = Annotated[float, Option(help="Multiply every wait, for slow hosts.")]


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
    """Repeat one cell under jitter, and say how likely it is to fail (with a 95 % interval) and why.

    Machines start from a snapshot. Jitter is busy processes on the host, guest time counted in
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
    say(summary.to_json() if json else render_summary(summary))
    return summary.exit_code
