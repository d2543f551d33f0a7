"""`ttylab qmp`: one QMP command to a running machine, through its owner."""

from __future__ import annotations

import json
from typing import Annotated

from typer import Argument

from harness.commands import say

EXAMPLES = """Examples:
  ttylab qmp linux1 query-status
  ttylab qmp nmi-panic human-monitor-command '{"command-line": "info registers"}' | jq -r .
  ttylab qmp boot screendump '{"filename": "shot.png", "format": "png"}'
  ttylab qmp boot system_reset                a change of the guest: the cell's report says so

Exit codes: 0 done, and the answer is printed as JSON; 1 refused by QEMU, or by ttylab where the command would
break what it knows of the machine (quit, migrate …); 2 wrong input; 3 nobody answers.
"""


def qmp(
    name: Annotated[str, Argument(help="Id of the machine, or part of its label (attach --list).")],
    command: Annotated[str, Argument(help="As QEMU names it: query-status, system_reset, …")],
    arguments: Annotated[str, Argument(help="Its arguments, a JSON object.")] = "",
) -> None:
    """Send one QMP command to a running machine, of a run, `boot` or `serve`, and print the answer."""
    from harness.terminal.by_hand import ask_qmp, find_machine, read_arguments  # noqa: PLC0415

    given = read_arguments(arguments)
    say(json.dumps(ask_qmp(find_machine(name), command, given), indent=1))
