"""`ttylab send`: what is asked for, and whether it had an effect."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from emulator.clock import Deadline
from emulator.errors import SpecError
from harness.azure.link import open_link
from harness.azure.virtual_machine import AzureVm, Observed, Power, VmCommand

WATCH_S = 5.0
"""How long a guest's output is waited for where the service does not speak of effects, seconds."""
_KEYS = re.compile(r"[0-9A-Za-z]+")


class Sendable(StrEnum):
    """What can be sent."""

    NMI = "nmi"
    SYSRQ = "sysrq"
    RESET = "reset"
    RESTART = "restart"
    STOP = "stop"
    START = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send to whom.

    Attributes:
        act: what.
        vm: the VM, as it was typed.
        keys: of a system request.
    """

    act: Sendable
    vm: str
    keys: str = ""


_COMMANDS = {Sendable.NMI: VmCommand.NMI, Sendable.SYSRQ: VmCommand.SYSRQ, Sendable.RESET: VmCommand.RESET}
_POWERS = {
    Sendable.RESTART: (Power.RESTART, "running"),
    Sendable.STOP: (Power.STOP, "stopped"),
    Sendable.START: (Power.START, "running"),
}


def parse_request(words: Sequence[str]) -> Request:
    """Return what `nmi VM`, `sysrq KEYS VM` and the like ask for.

    Raises:
        SpecError: they ask for nothing that there is.
    """
    act = next((one for one in Sendable if words and one.value == words[0].lower()), None)
    if act is None:
        asked = words[0] if words else ""
        raise SpecError(f"send {asked!r}: allowed: {', '.join(Sendable)}")
    wanted = 3 if act is Sendable.SYSRQ else 2
    if len(words) != wanted:
        raise SpecError(
            f"send {act}: need {'KEYS VM, as in: send sysrq h linux1' if wanted == 3 else 'one VM'}"
        )
    keys = words[1] if act is Sendable.SYSRQ else ""
    if keys and not _KEYS.fullmatch(keys):
        raise SpecError(f"send sysrq {keys!r}: allowed: letters and digits, each sent in turn (h, REISUB)")
    return Request(act=act, vm=words[-1], keys=keys)


def send(vm: AzureVm, request: Request, deadline: Deadline, *, force: bool = False) -> Observed:
    """Do `request` and return what was seen of it: on the console, or of the VM's power.

    Raises:
        ServiceRefused: the service said no.
        ServiceUnreachable: it was not reached, or did not end in time.
    """
    if request.act in _COMMANDS:
        return _send_command(vm, _COMMANDS[request.act], request.keys, deadline)
    power, wanted = _POWERS[request.act]
    vm.power(power, deadline, force=force)
    state = vm.power_state(deadline)
    return Observed(seen=state == wanted, evidence=f"the VM is {state}")


def _send_command(vm: AzureVm, command: VmCommand, keys: str, deadline: Deadline) -> Observed:
    session = vm.connect(deadline)
    if not vm.arm.address.azure:
        return vm.command(session, command, deadline, keys=keys)
    # The real service wants a trusted socket first and does not tell what came of the command.
    wrote = threading.Event()
    link = open_link(
        session,
        receive=lambda _: wrote.set(),
        deadline=deadline,
        token=vm.arm.credential.token(deadline),
    )
    with link:
        wrote.wait(min(WATCH_S, deadline.remaining()))  # what was there before
        wrote.clear()
        said = vm.command(session, command, deadline, keys=keys)
        if said.seen is not None:
            return said
        seen = wrote.wait(min(WATCH_S, deadline.remaining()))
    return Observed(seen=seen, evidence="the console shows new output" if seen else "")
