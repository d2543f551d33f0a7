"""`ttylab send`: a stimulus for a VM through ttylab's service or Azure's, and whether it took effect."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument, Option

from emulator.clock import Deadline
from emulator.guest_text.printable import escape
from harness.azure.address import ServiceChoice
from harness.commands import say, with_options
from harness.scenario.exit_codes import EXIT_FAILED, EXIT_PASSED

EXAMPLES = """Examples:
  ttylab send nmi linux1                       a non-maskable interrupt
  ttylab send sysrq h linux1                   the kernel lists its system requests
  ttylab send sysrq REISUB ss1/0               six of them in turn
  ttylab send reset linux1                     the reset button; the link to the console stays
  ttylab send restart | stop | start linux1    power; stop --force cuts it
  ttylab send nmi vm7 --real-azure --subscription ID --group rg

Exit codes: 0 an effect was seen; 1 it was injected, but the guest refused or no effect was seen; 2 wrong
input; 3 it failed or the service can't be reached; 4 the service refused. Nobody who is using the console is
disturbed. NMI and SysRq wait while the guest boots: its firmware and boot loader would take them.
"""


@with_options("service", ServiceChoice)
def send(
    words: Annotated[
        list[str],
        Argument(metavar="nmi|sysrq KEYS|reset|restart|stop|start VM", help="What to send, and to which VM."),
    ],
    *,
    service: ServiceChoice,
    force: Annotated[bool, Option("--force", help="With stop: cut the power.")] = False,
    within: Annotated[str, Option("--within", metavar="TIME", help="Give up after this.")] = "5m",
) -> None:
    """Send NMI, SysRq, reset or power to a VM and say what effect was seen."""
    from harness.azure.arm import open_arm  # noqa: PLC0415
    from harness.azure.names import parse_time, parse_vm  # noqa: PLC0415
    from harness.azure.virtual_machine import AzureVm, parse_stimulus, send_stimulus  # noqa: PLC0415

    request = parse_stimulus(words)
    deadline = Deadline.after(parse_time(within, option="--within"))
    address = service.address()
    vm = parse_vm(request.vm, subscription=address.subscription, group=address.group)
    with open_arm(address) as arm:
        observed = send_stimulus(AzureVm(arm, vm), request, deadline, force=force)
    what = f"{request.act} {request.keys}".strip()
    said = "effect seen" if observed.seen else f"injected, but {observed.unseen}"
    evidence = f": {escape(observed.evidence.encode())}" if observed.evidence else ""
    say(f"{what} to {vm.name}: {said}{evidence}")
    raise typer.Exit(EXIT_PASSED if observed.seen else EXIT_FAILED)
