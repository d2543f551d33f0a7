"""Admin commands of the gateway: NMI, SysRq and reset, whose success is true (docs/facts/azure.md 3)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

from emulator.cloud.records import VirtualMachine
from emulator.console.marks import MarkKind
from emulator.errors import CloudError
from emulator.fleet.guest import FleetGuest, Observed

SEQUENCE_MAX = 16
_KEYS = re.compile(rf"[0-9A-Za-z]{{1,{SEQUENCE_MAX}}}")


class AdminCommand(StrEnum):
    """What can be asked for."""

    NMI = "nmi"
    RESET = "reset"
    SYSRQ = "sysrq"


def read_keys(parameters: object) -> str:
    """Return the SysRq keys of a command's parameters, lower case: "b", or a sequence, "reisub".

    Raises:
        CloudError: 400; there are none, or they are not letters and digits.
    """
    keys = parameters.get("SysRqCommand") if isinstance(parameters, Mapping) else None
    if not isinstance(keys, str) or not _KEYS.fullmatch(keys):
        raise CloudError(
            400,
            "InvalidSysRqCommand",
            f"commandParameters.SysRqCommand must be 1 to {SEQUENCE_MAX} letters and digits (such as"
            ' "h" or "REISUB").',
        )
    return keys.lower()


async def run_command(
    command: AdminCommand, parameters: object, *, vm: VirtualMachine, guest: FleetGuest, by: str
) -> dict[str, Any]:
    """Do `command` to a guest that is on and return what was seen of it.

    Returns:
        `{"command", "effect": "seen" | "no effect seen", "evidence"}`; a SysRq sequence has one
        such object for each key in `keys`.

    Raises:
        CloudError: the parameters are wrong, or a Windows VM is asked for a SysRq.
        EmulatorError: the machine could not do it.
    """
    keys = read_keys(parameters) if command is AdminCommand.SYSRQ else ""
    if keys and vm.is_windows:
        raise CloudError(400, "SysRqNotSupported", "You can only send a SysRq to a Linux VM.")
    said = f"{command.value} {keys}".strip()
    guest.transcript.mark(MarkKind.LINK, "command", {"by": by, "command": said})
    if command is AdminCommand.SYSRQ:
        return {"command": said, **await _press_keys(guest, keys)}
    act: Callable[[], Awaitable[Observed]] = guest.nmi if command is AdminCommand.NMI else guest.reset
    return {"command": said, **_shown(await act())}


async def _press_keys(guest: FleetGuest, keys: str) -> dict[str, Any]:
    """Press one key after another; the whole counts as seen if the last one was."""
    seen = []
    for key in keys:
        seen.append(await guest.sysrq(key))
        if not guest.is_on:  # "o" came before the last key: there is nobody left to ask
            break
    shown = [{"key": key, **_shown(observed)} for key, observed in zip(keys, seen, strict=False)]
    return {**_shown(seen[-1]), "keys": shown}


def _shown(observed: Observed) -> dict[str, Any]:
    return {"effect": "seen" if observed.seen else "no effect seen", "evidence": observed.evidence}
