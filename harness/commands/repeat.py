"""`ttylab repeat`: play one cell many times under jitter; how often does it fail, and why?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from harness.commands import say, with_options
from harness.commands.options import HoldCommand
from harness.repeat.request import HuntRequest

Command = HoldCommand
EXAMPLES = """Examples:
  ttylab repeat bullseye.pc.seabios.1.sysrq-help            200 times, with every kind of jitter
  ttylab repeat CELL -n 50 -j 2 --jitter delay              two at once, with only the stimuli delayed
  ttylab repeat CELL --jitter none                          undisturbed: the same every time
  ttylab repeat CELL --for 600                              as often as ten minutes allow
  ttylab repeat CELL --seed 7 --only 17                     one failed repetition again
  ttylab repeat CELL --hold-on-failure                      until it fails, and keep that guest to be joined
"""


@with_options("request", HuntRequest)
def repeat(
    *,
    request: HuntRequest,
    json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    run_dir: Annotated[Path | None, Option(help="Where evidence goes; default: results/repeat-ID.")] = None,
) -> int:
    """Repeat one cell under jitter, and say how likely it is to fail (with a 95 % interval) and why.

    Machines start from a snapshot. Jitter is busy processes on the host, guest time counted in
    instructions, and a wait before each stimulus. Exit code 0: none failed, 1: some did, 2: wrong input,
    3: the lab broke, 130: interrupted.
    """
    from harness.repeat.hunt import hunt  # noqa: PLC0415
    from harness.repeat.text import render_summary  # noqa: PLC0415

    summary = hunt(request, run_dir)
    say(summary.to_json() if json else render_summary(summary))
    return summary.exit_code
