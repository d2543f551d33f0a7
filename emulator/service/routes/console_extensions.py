"""What ttylab adds to Azure, off Azure's paths: raw links, what really runs, and the size of a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field
from starlette.websockets import WebSocket

from emulator.cloud.config import GUID
from emulator.cloud.console_access import check_access, find_vm
from emulator.cloud.guest_plan import SAC_MEMORY_MIB, GuestPlan
from emulator.cloud.resource_id import ResourceId, parse_resource_id
from emulator.errors import CloudError, SpecError
from emulator.machine.spec import Device, Firmware, MachineType, WatchdogAction
from emulator.service.console.gateway import trust
from emulator.service.console.raw_links import read_link_request, serve_raw
from emulator.service.core.authentication import Caller, authorize
from emulator.service.core.context import ServiceOf, service_of
from emulator.service.parts.links import Link
from emulator.service.routes.gateway import refuse_upgrade, require_own_origin
from emulator.values import json_ready

router = APIRouter(prefix="/ttylab")
WORD_MAX = 640
"""Characters of a word: the longest is the knob of eight menu entries."""

Word = Annotated[str, Field(min_length=1, max_length=WORD_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestTable:
    """What a guest is to be; see GuestPlan."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    image: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    machine: MachineType = MachineType.PC
    firmware: Firmware = Firmware.SEABIOS
    vcpus: Annotated[int, Field(ge=1, le=4)] = 1
    memory_mib: Annotated[int, Field(alias="memoryMib", ge=SAC_MEMORY_MIB, le=4096)] = 256
    words: Annotated[tuple[Word, ...], Field(max_length=64)] = ()
    devices: frozenset[Device] = frozenset()
    watchdog_action: Annotated[WatchdogAction, Field(alias="watchdogAction")] = WatchdogAction.RESET
    seed: Annotated[int | None, Field(ge=0, lt=2**64)] = None
    uuid: Annotated[str | None, Field(pattern=GUID)] = None


def _resource(resource: str) -> ResourceId:
    try:
        return parse_resource_id(resource)
    except SpecError as error:
        raise CloudError(400, "InvalidResourceId", str(error)) from error


Resource = Annotated[ResourceId, Depends(_resource)]


@router.websocket("/links/{resource:path}")
async def open_raw_link(socket: WebSocket, resource: str) -> None:
    """Serve a raw link: `?from=start|end|OFFSET&mode=read|write&format=raw|timeline`."""
    service = service_of(socket)
    try:
        require_own_origin(socket, service)
        query = socket.query_params
        request = read_link_request(
            start=query.get("from", "end"),
            mode=query.get("mode", "read"),
            link_format=query.get("format", "raw"),
        )
        link = Link(vm=_resource(resource))
        trust(link, socket.headers.get("authorization", "").removeprefix("Bearer ").strip(), service=service)
    except SpecError as error:
        await refuse_upgrade(socket, CloudError(400, "InvalidLink", str(error)))
        return
    except CloudError as error:
        await refuse_upgrade(socket, error)
        return
    await serve_raw(socket, link, request, service=service)


@router.get("/guests/{resource:path}")
async def read_guest(resource: Resource, service: ServiceOf, caller: Caller) -> dict[str, Any]:
    """Tell what really runs behind a VM, and how much it has written."""
    authorize(service, caller, "Microsoft.Compute/virtualMachines/read", scope=str(resource))
    vm = find_vm(service.cloud, resource)
    guest = service.fleet.existing(vm.key)
    return {
        "guest": json_ready(vm.guest),
        "on": guest is not None and guest.is_on,
        "written": 0 if guest is None else len(guest.transcript),
        "kept_from": 0 if guest is None else guest.transcript.first,
    }


@router.put("/guests/{resource:path}")
async def put_guest(
    resource: Resource, table: GuestTable, service: ServiceOf, caller: Caller
) -> dict[str, Any]:
    """Say what is to run behind a VM whose machine is off; its console starts anew."""
    authorize(service, caller, "Microsoft.Compute/virtualMachines/write", scope=str(resource))
    vm = find_vm(service.cloud, resource)
    existing = service.fleet.existing(vm.key)
    if existing is not None and existing.is_on:
        raise CloudError(409, "OperationNotAllowed", "The machine of this VM is on; stop the VM first.")
    plan = _plan_of(table, stands_in_for=vm.guest.stands_in_for)
    await service.fleet.discard(vm.key)
    service.cloud.put(replace(vm, guest=plan))
    return await read_guest(resource, service, caller)


def _plan_of(table: GuestTable, *, stands_in_for: str | None) -> GuestPlan:
    try:
        return GuestPlan(**asdict(table), stands_in_for=stands_in_for)
    except SpecError as error:
        raise CloudError(400, "InvalidGuest", str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeTable:
    """How large a terminal is."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    rows: Annotated[int, Field(ge=1, le=500)]
    columns: Annotated[int, Field(ge=1, le=500)]


@router.post("/resize/{resource:path}")
async def resize(resource: Resource, size: SizeTable, service: ServiceOf, caller: Caller) -> dict[str, Any]:
    """Type the command that tells a Linux shell its terminal's size: a serial line can't (ISS 7, 105)."""
    check_access(service.cloud, service.settings, principal=caller.principal, vm=resource)
    guest = service.fleet.guest(find_vm(service.cloud, resource))
    typed = f"stty rows {size.rows} cols {size.columns}\r"
    guest.type(typed.encode())
    return {"typed": typed}
