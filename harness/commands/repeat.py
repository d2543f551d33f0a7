"""`ttylab repeat`: play one cell many times under jitter; how often does it fail, and why?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from harness.commands import say, with_options
from harness.commands.options import Hold, HoldCommand

Command = HoldCommand
EXAMPLES = """Examples:
  ttylab repeat bullseye.pc.seabios.1.sysrq-help            200 times, with every kind of jitter
  ttylab repeat CELL -n 50 -j 2 --jitter delay              two at once, with only the stimuli delayed
  ttylab repeat CELL --jitter none                          undisturbed: the same every time
  ttylab repeat CELL --for 600                              as often as ten minutes allow
  ttylab repeat CELL --seed 7 --only 17                     one failed repetition again
  ttylab repeat CELL --hold-on-failure                      until it fails, and keep that guest to be joined
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatOptions:
    """The options of `HuntRequest`; each field is one."""

    count: Annotated[
        int | None, Option("-n", min=1, help="Repetitions; default: 200, no limit with --for.")
    ] = None
    jobs: Annotated[str, Option("-j", "--jobs", help="Guests at once; auto: by cores and memory.")] = "auto"
    jitter: Annotated[
        str, Option(metavar="KINDS", help="Some of load,icount,delay, or none; default: all.")
    ] = ""
    seed: Annotated[int | None, Option(min=0, help="Seed of the plan; default: random.")] = None
    only: Annotated[int | None, Option(min=1, help="Play only this repetition of the plan.")] = None
    seconds: Annotated[
        float | None, Option("--for", metavar="SECONDS", help="Start none after this long.")
    ] = None
    stop_on_failure: Annotated[bool, Option("--stop-on-failure", help="Start none after a failure.")] = False
    keep: Annotated[bool, Option("--keep", help="Keep the evidence of passes too.")] = False
    hold_on_failure: Hold = ""
    cold: Annotated[bool, Option("--cold", help="Boot every machine, fork none.")] = False
    time_scale: Annotated[float, Option(help="Multiply every wait, for slow hosts.")] = 1.0
    port: Annotated[
        str, Option(metavar="URL", help="Play on this serial port instead of a machine of ttylab's.")
    ] = ""


@with_options("options", RepeatOptions)
def repeat(
    cell: Annotated[str, Argument(metavar="CELL", help="Id of a cell, as reports show it.")],
    *,
    options: RepeatOptions,
    json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    run_dir: Annotated[Path | None, Option(help="Where evidence goes; default: results/repeat-ID.")] = None,
) -> int:
    """Repeat one cell under jitter, and say how likely it is to fail (with a 95 % interval) and why.

    Machines start from a snapshot. Jitter is busy processes on the host, guest time counted in
    instructions, and a wait before each stimulus. Exit code 0: none failed, 1: some did, 2: wrong input,
    3: the lab broke, 130: interrupted.
    """
    from harness.repeat.hunt import HuntRequest, hunt  # noqa: PLC0415
    from harness.repeat.text import render_summary  # noqa: PLC0415

    summary = hunt(HuntRequest(cell=cell, **asdict(options)), run_dir)
    say(summary.to_json() if json else render_summary(summary))
    return summary.exit_code
