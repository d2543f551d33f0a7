"""Microsoft.SerialConsole: a subscription's switch, serial ports, and `connect`.

See docs/facts/azure.md 2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from emulator.clock import pause
from emulator.cloud.compute import Json
from emulator.cloud.console_access import check_access, find_vm
from emulator.cloud.records import VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import (
    COMPUTE,
    SCALE_SET_TYPE,
    VM_TYPE,
    ResourceId,
    instance_id,
    is_within,
    subscription_scope,
    vm_id,
)
from emulator.cloud.roles import CONNECT
from emulator.cloud.settings import CloudKind, azure_document, azure_facts
from emulator.errors import CloudError
from emulator.service.compute.calls import MaybeDocument
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import CaseBlindRoute, Service, arm_router
from emulator.service.parts.sessions import ConsoleSession

PROVIDER = "Microsoft.SerialConsole"
_PORTS = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/{namespace}/{parent_type}/{parent:path}"
    f"/providers/{PROVIDER}/serialPorts"
)
_SERVICES = f"/subscriptions/{{subscription}}/providers/{PROVIDER}/consoleServices"

router: APIRouter = arm_router()
versionless = APIRouter(route_class=CaseBlindRoute)


def _parent(subscription: str, group: str, namespace: str, parent_type: str, parent: str) -> ResourceId:
    """Return the machine that has the port; an instance is `SET/virtualMachines/N`, plain or with %2F."""
    if namespace.lower() == "microsoft.classiccompute":
        raise refusal("ClassicDeploymentNotSupported.console")
    words = parent.split("/")
    kinds = [namespace.lower(), parent_type.lower(), *(word.lower() for word in words[1::2])]
    if kinds == [COMPUTE.lower(), VM_TYPE.lower()] and len(words) == 1:
        return vm_id(subscription, group, words[0])
    if kinds == [COMPUTE.lower(), SCALE_SET_TYPE.lower(), VM_TYPE.lower()] and len(words) == 3:
        return instance_id(subscription, group, scale_set=words[0], instance=words[2])
    raise refusal("InvalidResourceType.port", namespace=namespace, parent_type=parent_type)


Parent = Annotated[ResourceId, Depends(_parent)]


# -- the provider and its switch -------------------------------------------------------------------


@router.get(f"/providers/{PROVIDER}/operations")
async def list_operations(_: CallOf) -> Json:
    """List what the provider can do."""
    known = azure_facts()["console_operations"].items()
    return {"value": [_operation(name, description) for name, description in known]}


def _operation(name: str, description: str) -> Json:
    resource = "Console Services" if name.startswith("consoleServices/") else "Serial Ports"
    return azure_document("console_operation", name=name, resource=resource, description=description)


@router.get(f"{_SERVICES}/{{name}}")
async def read_console_service(subscription: str, name: str, call: CallOf) -> Json:
    """Tell whether serial consoles can be used in a subscription.

    Anyone with any role in the subscription may ask: az asks before each connect, also for callers
    whose only role is on one VM.
    """
    _require_default(name)
    call.enter(subscription)
    return _switch(call, subscription)


@router.post(f"{_SERVICES}/{{name}}/disableConsole")
async def disable_console(subscription: str, name: str, call: CallOf) -> Json:
    """Switch serial consoles off in a subscription; open links end."""
    _require_default(name)
    return _turn(call, subscription, enabled=False)


@router.post(f"{_SERVICES}/{{name}}/enableConsole")
async def enable_console(subscription: str, name: str, call: CallOf) -> Json:
    """Switch serial consoles on in a subscription."""
    _require_default(name)
    return _turn(call, subscription, enabled=True)


def _require_default(name: str) -> None:
    if name.lower() != "default":
        raise refusal("ResourceNotFound.console-service", name=name)


def _switch(call: Call, subscription: str) -> Json:
    found = call.require_subscription(subscription)
    if call.service.settings.kind is CloudKind.CHINA:
        raise refusal("NoRegisteredProviderFound")
    scope = subscription_scope(found.id)
    return azure_document("console_service", scope=scope, disabled=not found.console_enabled)


def _turn(call: Call, subscription: str, *, enabled: bool) -> Json:
    action = f"{PROVIDER}/consoleServices/{'enable' if enabled else 'disable'}Console/action"
    scope = subscription_scope(subscription)
    call.authorize(action, scope)
    found = call.require_subscription(subscription)
    call.service.cloud.put(replace(found, console_enabled=enabled))
    call.note(action, f"{scope}/providers/{PROVIDER}/consoleServices/default")
    return _switch(call, subscription)


# -- serial ports ----------------------------------------------------------------------------------


@versionless.get(f"/subscriptions/{{subscription}}/providers/{PROVIDER}/serialPorts")
async def list_all_ports(subscription: str, call: CallOf) -> Json:
    """List the ports of a subscription that the caller may see; SDK 1.0.0 sends no api-version here."""
    scope, action = call.enter(subscription), f"{PROVIDER}/serialPorts/read"
    vms = (vm for vm in call.service.cloud.all(VirtualMachine) if is_within(str(vm.id), scope))
    return {"value": [_port(call.service, vm) for vm in vms if call.may(action, vm.id)]}


@router.get(_PORTS)
async def list_ports(parent: Parent, call: CallOf) -> Json:
    """List the serial ports of a VM or an instance: one, "0"."""
    return {"value": [_port(call.service, _find(call, parent, port="0", action="read"))]}


@router.get(f"{_PORTS}/{{port}}")
async def read_port(parent: Parent, port: str, call: CallOf) -> Json:
    """Return a serial port."""
    return _port(call.service, _find(call, parent, port=port, action="read"))


@router.put(f"{_PORTS}/{{port}}", status_code=201)
async def put_port(parent: Parent, port: str, call: CallOf, body: MaybeDocument = None) -> Json:
    """Enable or disable a serial port; a disabled one can't be connected to."""
    vm = _find(call, parent, port=port, action="write")
    properties = (body or {}).get("properties", {})
    state = properties.get("state", "enabled") if isinstance(properties, dict) else None
    if state not in ("enabled", "disabled"):
        raise refusal("InvalidRequestContent.port-state")
    changed = replace(vm, port_enabled=state == "enabled")
    call.service.cloud.put(changed)
    return _port(call.service, changed)


@router.delete(f"{_PORTS}/{{port}}", status_code=204)
async def delete_port(parent: Parent, port: str, call: CallOf) -> Response:
    """Disable a serial port: it is part of the machine and can't go away."""
    vm = _find(call, parent, port=port, action="delete")
    call.service.cloud.put(replace(vm, port_enabled=False))
    return Response(status_code=204)


@router.post(f"{_PORTS}/{{port}}/connect")
async def connect(parent: Parent, port: str, call: CallOf) -> dict[str, str]:
    """Return a connection string; the body and its type do not matter, clients send any or none."""
    _require_port(port)
    service = call.service
    call.require_subscription(parent.subscription)
    resource = f"{parent}/providers/{PROVIDER}/serialPorts/0"
    try:
        with service.sessions.connecting(parent):
            session = await _open_session(call, parent)
    except CloudError as error:
        service.metrics.refused.labels(error.code).inc()
        call.note(CONNECT, resource, succeeded=False, status=f"{error.status} {error.code}")
        raise
    service.metrics.connects.inc()
    call.note(CONNECT, resource)
    host = service.endpoint.removeprefix("https://")
    path = f"/n/connector/{session.container}/sessions/{session.id}/client"
    return {"connectionString": f"wss://{host}{path}"}


async def _open_session(call: Call, parent: ResourceId) -> ConsoleSession:
    service, principal = call.service, call.caller.principal
    check_access(service.cloud, service.settings, principal=principal, vm=parent)
    if service.faults.conflicts():
        raise refusal("Conflict.in-progress")
    if service.faults.stays_silent():
        await pause(service.settings.silence_s)
        raise refusal("GatewayTimeout")
    return service.sessions.open(parent, principal=principal, now=service.now())


def _find(call: Call, parent: ResourceId, *, port: str, action: str) -> VirtualMachine:
    call.authorize(f"{PROVIDER}/serialPorts/{action}", parent)
    _require_port(port)
    return find_vm(call.service.cloud, parent)


def _require_port(port: str) -> None:
    if port != "0":
        raise refusal("ResourceNotFound.port", port=port)


def _port(service: Service, vm: VirtualMachine) -> Json:
    return azure_document(
        "serial_port",
        vm=vm.id,
        state="enabled" if vm.port_enabled else "disabled",
        connection="inactive" if service.links.holder(vm.id) is None else "active",
    )
