"""`ttylab console`: a VM's serial console through ttylab's service or Azure's."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from harness.azure.address import ServiceChoice
from harness.commands import with_options

EXAMPLES = """Examples:
  ttylab console linux1            a VM; Ctrl-] ? for the menu: NMI, SysRq, reset, power
  ttylab console ss1/0             instance 0 of scale set ss1
  ttylab console linux1 --no-input --until "login: " --for 2m > boot.log
  echo uname | ttylab console linux1   type a line, leave when it is quiet
  ttylab console vm7 --real-azure --subscription ID --group rg

The service is found by --ready-file, --endpoint, or TTYLAB_READY_FILE, TTYLAB_ENDPOINT and the other
variables that `ttylab serve --print-env` prints.

Exit codes: 0 left, or --until was seen; 1 --until was not seen in time, or the guest died; 2 wrong input;
3 the service can't be reached, or the link was lost for good; 4 the service refused, or somebody else took
the console.
"""


@with_options("service", ServiceChoice)
def console(
    vm: Annotated[str, Argument(help="VM, SCALESET/INSTANCE, or a resource id.")],
    *,
    service: ServiceChoice,
    no_input: Annotated[bool, Option("--no-input", help="Only read, type nothing.")] = False,
    stay: Annotated[str, Option("--for", metavar="TIME", help="Leave this long after the link opened.")] = "",
    until: Annotated[str, Option(metavar="REGEX", help="Leave once this has appeared.")] = "",
    quiet: Annotated[
        str,
        Option(
            metavar="TIME", help="After the end of a piped input: leave when nothing has come for this long."
        ),
    ] = "2s",
    reconnect: Annotated[
        str, Option(metavar="TIME", help="How long to try to reconnect after a dropped link; 0: never.")
    ] = "60s",
    take_back: Annotated[
        bool, Option("--take-back", help="Take the console back when somebody else takes it.")
    ] = False,
) -> None:
    """Join a VM's serial console; what the guest writes goes to standard output unchanged."""
    from harness.azure.names import parse_time, watch_for  # noqa: PLC0415
    from harness.terminal.service_terminal import TerminalOptions, run_console  # noqa: PLC0415

    options = TerminalOptions(
        reads_input=not no_input,
        stay_s=parse_time(stay, option="--for") if stay else None,
        until=watch_for(until),
        quiet_s=parse_time(quiet, option="--quiet"),
        reconnect_s=parse_time(reconnect, option="--reconnect"),
        take_back=take_back,
    )
    raise typer.Exit(run_console(service.address(), vm, options))
