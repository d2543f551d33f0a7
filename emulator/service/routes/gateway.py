"""The gateway's routes: a session's WebSocket, and its admin commands (docs/facts/azure.md 3)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from emulator.cloud.console_access import NOT_RUNNING, check_role, find_vm
from emulator.cloud.records import PowerState
from emulator.errors import CloudError, EmulatorError
from emulator.service.console.admin_commands import AdminCommand, run_command
from emulator.service.console.gateway import serve_client
from emulator.service.core.context import Service, ServiceOf, service_of
from emulator.service.identity.authentication import address_of, authenticate
from emulator.service.parts.sessions import ConsoleSession
from emulator.service.parts.tokens import Claims, endpoints_of

_SESSION = "/n/connector/{container}/sessions/{session_id}"
_OPERATION = "Microsoft.SerialConsole/serialPorts/adminCommand/action"

router = APIRouter()


def require_own_origin(socket: WebSocket, service: Service) -> None:
    """Refuse a browser's WebSocket that another site's page opens; programs send none, az our own.

    Raises:
        CloudError: 403.
    """
    origin = socket.headers.get("origin")
    if origin is not None and origin.rstrip("/").lower() not in endpoints_of(service.endpoint):
        raise CloudError(403, "OriginNotAllowed", "WebSockets of pages of other sites are refused.")


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
    body: Annotated[dict[str, Any] | None, Body()] = None,
) -> dict[str, Any]:
    """Do an admin command; authorised by its bearer alone, for old clients never send it on the socket."""
    session = service.sessions.find(container, session_id, now=service.now())
    try:
        caller = authenticate(request, service)
        return await _run(service, caller, session, command=command, request=request, body=body or {})
    except EmulatorError:
        for link in service.links.of_session(session):
            link.show("")  # without one more frame az waits for ever (docs/facts/azure.md 3)
        raise


async def _run(
    service: Service,
    caller: Claims,
    session: ConsoleSession,
    *,
    command: str,
    request: Request,
    body: dict[str, Any],
) -> dict[str, Any]:
    asked = _read_command(command)
    request_id = str(body.get("requestId", ""))
    if request_id in session.answers:
        return session.answers[request_id]
    if caller.principal != session.principal:
        raise CloudError(403, "AuthorizationFailed", "This session was opened by somebody else.")
    check_role(service.cloud, service.settings, principal=caller.principal, vm=session.vm)
    vm = find_vm(service.cloud, session.vm)
    if vm.power is not PowerState.RUNNING:
        raise CloudError(409, "OperationNotAllowed", NOT_RUNNING)
    guest = service.fleet.guest(vm)
    await guest.power_on()
    answer = await run_command(asked, body.get("commandParameters"), vm=vm, guest=guest, by=caller.name)
    service.metrics.commands.labels(asked.value, answer["effect"]).inc()
    if request_id:
        session.remember(request_id, answer)
    service.activity.note(
        _OPERATION,
        scope=str(session.vm),
        caller=caller.name,
        caller_id=caller.principal,
        address=address_of(request),
        status=f"{answer['command']}: {answer['effect']}",
    )
    return answer


def _read_command(command: str) -> AdminCommand:
    try:
        return AdminCommand(command.lower())
    except ValueError:
        allowed = ", ".join(AdminCommand)
        raise CloudError(
            404, "AdminCommandNotFound", f"There is no admin command '{command[:40]}'; there are: {allowed}."
        ) from None
