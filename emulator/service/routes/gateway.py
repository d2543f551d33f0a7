"""The gateway's routes: a session's WebSocket and its admin commands, NMI, SysRq and reset.

See docs/facts/azure.md 3.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from emulator.cloud.compute import Json
from emulator.cloud.console_access import check_role, find_vm
from emulator.cloud.records import PowerState, VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.console.marks import MarkKind
from emulator.errors import CloudError, EmulatorError
from emulator.fleet.machine_guest import MachineGuest
from emulator.fleet.observed import Observed
from emulator.service.compute.calls import MaybeDocument
from emulator.service.console.gateway import serve_client
from emulator.service.core.call import Call, call_of
from emulator.service.core.context import Service, ServiceOf, service_of
from emulator.service.parts.sessions import ConsoleSession
from emulator.service.parts.tokens import endpoints_of

SEQUENCE_MAX = 16
REQUEST_ID_MAX = 128
_KEYS = re.compile(rf"[0-9A-Za-z]{{1,{SEQUENCE_MAX}}}")


class AdminCommand(StrEnum):
    """The admin commands."""

    NMI = "nmi"
    RESET = "reset"
    SYSRQ = "sysrq"


def read_keys(parameters: object) -> str:
    """Return the SysRq keys in a command's parameters in lower case: "b", or a sequence like "reisub".

    Raises:
        CloudError: 400; there are none, or they are not letters and digits.
    """
    keys = parameters.get("SysRqCommand") if isinstance(parameters, Mapping) else None
    if not isinstance(keys, str) or not _KEYS.fullmatch(keys):
        raise refusal("InvalidSysRqCommand", most=SEQUENCE_MAX)
    return keys.lower()


async def run_command(
    command: AdminCommand, keys: str, *, vm: VirtualMachine, guest: MachineGuest, by: str
) -> Json:
    """Do `command`, a SysRq with its `keys`, to a guest that is on and return its observed effect.

    Returns:
        `{"command", "effect": "seen" | "refused" | "no effect seen", "evidence"}`; a SysRq sequence has
        one such object for each key in `keys`.

    Raises:
        CloudError: the command is a SysRq for a Windows VM.
        EmulatorError: the machine could not do it.
    """
    if keys and vm.is_windows:
        raise refusal("SysRqNotSupported")
    said = f"{command.value} {keys}".strip()
    guest.transcript.mark(MarkKind.LINK, "command", {"by": by, "command": said})
    if command is AdminCommand.SYSRQ:
        return {"command": said, **await _press_keys(guest, keys)}
    act: Callable[[], Awaitable[Observed]] = guest.nmi if command is AdminCommand.NMI else guest.reset
    return {"command": said, **_shown(await act())}


async def _press_keys(guest: MachineGuest, keys: str) -> Json:
    """Press one key after another; the effect of the last one counts for the sequence."""
    seen = []
    for key in keys:
        seen.append(await guest.sysrq(key))
        if not guest.is_on:  # "o" switched it off before the last key
            break
    shown = [{"key": key, **_shown(observed)} for key, observed in zip(keys, seen, strict=False)]
    return {**_shown(seen[-1]), "keys": shown}


def _shown(observed: Observed) -> Json:
    unseen = "refused" if observed.refused else "no effect seen"
    return {"effect": "seen" if observed.seen else unseen, "evidence": observed.evidence}


_SESSION = "/n/connector/{container}/sessions/{session_id}"
_OPERATION = "Microsoft.SerialConsole/serialPorts/adminCommand/action"

router = APIRouter()


def require_own_origin(socket: WebSocket, service: Service) -> None:
    """Refuse (403) a WebSocket that another site's page opens; programs send no Origin, az sends ours."""
    origin = socket.headers.get("origin")
    if origin is not None and origin.rstrip("/").lower() not in endpoints_of(service.endpoint):
        raise refusal("OriginNotAllowed")


async def refuse_upgrade(socket: WebSocket, error: CloudError) -> None:
    """Answer an upgrade with an HTTP error."""
    body = {"error": {"code": error.code, "message": error.message}}
    await socket.send_denial_response(JSONResponse(body, error.status))


@router.websocket(f"{_SESSION}/client")
async def open_link(socket: WebSocket, container: str, session_id: str) -> None:
    """Serve the console of a session."""
    service = service_of(socket)
    try:
        require_own_origin(socket, service)
        session = service.sessions.find(container, session_id, now=service.now())
    except CloudError as error:
        await refuse_upgrade(socket, error)
        return
    token = socket.query_params.get("authorization", "").removeprefix("Bearer ").strip()
    await serve_client(socket, session, service=service, query_token=token or None)


@router.post(f"{_SESSION}/adminCommand/{{command}}")
async def run_admin_command(
    container: str,
    session_id: str,
    command: str,
    request: Request,
    service: ServiceOf,
    body: MaybeDocument = None,
) -> Json:
    """Do an admin command; its own bearer token authorises it, as old clients send none on the socket."""
    session = service.sessions.find(container, session_id, now=service.now())
    try:
        return await _run(call_of(request, service), session, command=command, body=body or {})
    except EmulatorError:
        for link in service.links.of_session(session):
            link.show("")  # az waits for ever without one more frame (docs/facts/azure.md 3)
        raise


async def _run(call: Call, session: ConsoleSession, *, command: str, body: Json) -> Json:
    service, caller = call.service, call.caller
    if caller.principal != session.principal:
        raise refusal("AuthorizationFailed.other-session")
    check_role(service.cloud, service.settings, principal=caller.principal, vm=session.vm)
    asked = _read_command(command)
    keys = read_keys(body.get("commandParameters")) if asked is AdminCommand.SYSRQ else ""
    request_id = _read_request_id(body)
    vm = find_vm(service.cloud, session.vm)

    async def act() -> Json:
        if vm.power is not PowerState.RUNNING:
            raise refusal("OperationNotAllowed.not-running")
        guest = service.fleet.guest(vm)
        await guest.power_on()
        answer = await run_command(asked, keys, vm=vm, guest=guest, by=caller.name)
        service.metrics.commands.labels(asked.value, answer["effect"]).inc()
        call.note(_OPERATION, vm.id, status=f"{answer['command']}: {answer['effect']}")
        return answer

    if not request_id:
        return await act()
    return await session.answer_once((vm.vm_id, asked, keys, request_id), act)


def _read_request_id(body: Mapping[str, Any]) -> str:
    """Return the id that a repeated request has again; "" if there is none, 400 for what can't be one."""
    found = body.get("requestId") or ""
    if not isinstance(found, str) or len(found) > REQUEST_ID_MAX:
        raise refusal("InvalidRequestContent.request-id", most=REQUEST_ID_MAX)
    return found


def _read_command(command: str) -> AdminCommand:
    try:
        return AdminCommand(command.lower())
    except ValueError:
        allowed = ", ".join(AdminCommand)
        raise refusal("AdminCommandNotFound", command=command, allowed=allowed) from None
