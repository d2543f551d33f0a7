"""What ttylab adds to Azure, under its own paths: raw links, the guests behind VMs, terminal sizes.

A raw link carries raw bytes or the timeline, from any offset, to watch or to type. It does not take the
console: a link of Azure's kind may come and go beside it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field
from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.cloud.compute import Json
from emulator.cloud.config import GUID
from emulator.cloud.console_access import check_access, find_vm
from emulator.cloud.guest_plan import SAC_MEMORY_MIB, GuestPlan
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId, parse_resource_id
from emulator.console.marks import Chunk, MarkKind
from emulator.console.transcript import Transcript, mark_line
from emulator.errors import CloudError, ConsoleClosed, EmulatorError, SpecError
from emulator.fleet.machine_guest import wait_change
from emulator.machine.spec import Device, Firmware, MachineType, WatchdogAction
from emulator.service.console.gateway import start_on_demand, trust
from emulator.service.console.link_life import Feed, Keystrokes, receive_data, run_until_left, serve_link
from emulator.service.console.token_guard import TokenGuard
from emulator.service.core.call import CallOf
from emulator.service.core.context import Service, service_of
from emulator.service.https.admission import vouch
from emulator.service.parts.links import Link
from emulator.service.routes.gateway import refuse_upgrade, require_own_origin
from emulator.values import json_ready


class LinkFormat(StrEnum):
    """What a link sends."""

    RAW = "raw"
    """BINARY frames: the guest's bytes and nothing else."""
    TIMELINE = "timeline"
    """TEXT frames, one JSON object each: `{"t", "out": [start, end], "data": base64}`,
    `{"t", "at", "mark", "name", "detail"}`; `t` in seconds since the console was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """What a client asks of a link.

    Attributes:
        start: offset in the guest's output; None is its end.
        format: what the link sends.
        types: whether input is typed; otherwise it is ignored.
    """

    start: int | None
    format: LinkFormat
    types: bool


def read_link_request(*, start: str, mode: str, link_format: str) -> LinkRequest:
    """Return the request in the query of a link's URL; raises SpecError for a value that is not allowed."""
    if mode not in ("read", "write"):
        raise SpecError(f"mode is {mode[:20]!r}; allowed: read, write")
    if link_format not in tuple(LinkFormat):
        raise SpecError(f"format is {link_format[:20]!r}; allowed: {', '.join(LinkFormat)}")
    offsets = {"start": 0, "end": None}
    if start not in offsets and not (start.isascii() and start.isdigit() and len(start) <= 15):
        raise SpecError(f"from is {start[:20]!r}; allowed: start, end, or an offset in bytes")
    offset = offsets[start] if start in offsets else int(start)
    return LinkRequest(start=offset, format=LinkFormat(link_format), types=mode == "write")


async def _carry(socket: WebSocket, link: Link, request: LinkRequest, *, service: Service) -> None:
    guest = service.fleet.guest(find_vm(service.cloud, link.vm))
    transcript = guest.transcript
    start = len(transcript) if request.start is None else max(transcript.first, request.start)
    transcript.mark(MarkKind.LINK, "watching", {"by": link.name, "may_type": request.types})
    try:
        feed = Feed(transcript, position=min(start, len(transcript)))
        out = _send_raw(socket, feed) if request.format is LinkFormat.RAW else _send_timeline(socket, feed)
        guard = TokenGuard(lambda newer: trust(link, newer, service=service))
        keystrokes = Keystrokes(guest) if request.types else None
        await run_until_left(
            asyncio.create_task(out),
            asyncio.create_task(_take_input(socket, keystrokes, guard)),
            asyncio.create_task(start_on_demand(service, link, guest)),
        )
    except WebSocketDisconnect:
        pass
    except EmulatorError as error:
        link.end(1011, str(error).splitlines()[0])


async def _send_raw(socket: WebSocket, feed: Feed) -> None:
    while data := await feed.read():
        await socket.send_bytes(data)


async def _take_input(socket: WebSocket, keystrokes: Keystrokes | None, guard: TokenGuard) -> None:
    while True:
        data = guard.sift(await receive_data(socket))
        if data and keystrokes is not None:
            await keystrokes.type(data)


async def _send_timeline(socket: WebSocket, feed: Feed) -> None:
    transcript, reader = feed.transcript, TimelineReader(feed.transcript, position=feed.position)
    while True:
        version, closed = transcript.version, transcript.closed is not None
        for line in reader.new():
            await socket.send_text(json.dumps(line, separators=(",", ":")))
        if closed:
            return
        await wait_change(transcript, version)


class TimelineReader:
    """Reads what is new in a transcript, bytes and marks, in the order in which they came."""

    def __init__(self, transcript: Transcript, *, position: int) -> None:
        self._transcript = transcript
        self._position = position
        self._marks = 0
        self._start = position

    def new(self) -> list[dict[str, object]]:
        """Return a JSON-ready object for each chunk and mark since the last call.

        Raises:
            ConsoleClosed: the transcript has dropped bytes that were not read yet.
        """
        marks = self._transcript.marks_since(self._marks)
        self._marks += len(marks)
        lines = [(mark.at, mark.offset, mark_line(mark)) for mark in marks if mark.offset >= self._start]
        for chunk in self._transcript.chunks_since(self._position):
            start = max(chunk.start, self._position)
            lines.append((chunk.at, start, self._output_line(chunk, start)))
            self._position = chunk.end
        return [line for _, _, line in sorted(lines, key=lambda one: one[:2])]

    def _output_line(self, chunk: Chunk, start: int) -> dict[str, object]:
        data = self._transcript.read(start, chunk.end)
        if len(data) != chunk.end - start:
            raise ConsoleClosed(f"this reader is too slow: bytes from {start} on are gone")
        shown = base64.b64encode(data).decode()
        return {"t": round(chunk.at, 6), "out": [start, chunk.end], "data": shown}


router = APIRouter(prefix="/ttylab")
WORD_MAX = 640
"""Most characters of a word: the longest is the knob with eight menu entries."""

Word = Annotated[str, Field(min_length=1, max_length=WORD_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestTable:
    """The guest that a VM should have; see GuestPlan."""

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
        vouch(socket, link.principal)
    except SpecError as error:
        await refuse_upgrade(socket, CloudError(400, "InvalidLink", str(error)))
        return
    except CloudError as error:
        await refuse_upgrade(socket, error)
        return
    await serve_link(
        socket, link, lambda: _carry(socket, link, request, service=service), service=service, shows_why=False
    )


@router.get("/guests/{resource:path}")
async def read_guest(resource: Resource, call: CallOf) -> Json:
    """Show the guest behind a VM, and how much it has written."""
    call.authorize("Microsoft.Compute/virtualMachines/read", resource)
    vm = find_vm(call.service.cloud, resource)
    guest = call.service.fleet.existing(vm.key)
    return {
        "guest": json_ready(vm.guest),
        "on": guest is not None and guest.is_on,
        "written": 0 if guest is None else len(guest.transcript),
        "kept_from": 0 if guest is None else guest.transcript.first,
    }


@router.put("/guests/{resource:path}")
async def put_guest(resource: Resource, table: GuestTable, call: CallOf) -> Json:
    """Set the guest behind a VM whose machine is off; its console starts empty."""
    service = call.service
    call.authorize("Microsoft.Compute/virtualMachines/write", resource)
    vm = find_vm(service.cloud, resource)
    existing = service.fleet.existing(vm.key)
    if existing is not None and existing.is_on:
        raise refusal("OperationNotAllowed.on")
    try:
        plan = GuestPlan(**asdict(table), stands_in_for=vm.guest.stands_in_for)
    except SpecError as error:
        raise CloudError(400, "InvalidGuest", str(error)) from error
    await service.fleet.discard(vm.key)
    service.blobs.screenshots.forget(vm.vm_id)
    service.cloud.put(replace(vm, guest=plan))
    return await read_guest(resource, call)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeTable:
    """The size of a terminal."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    rows: Annotated[int, Field(ge=1, le=500)]
    columns: Annotated[int, Field(ge=1, le=500)]


@router.post("/resize/{resource:path}")
async def resize(resource: Resource, size: SizeTable, call: CallOf) -> Json:
    """Type the command that sets a Linux shell's terminal size: a serial line can't (ISS 7, 105)."""
    service = call.service
    check_access(service.cloud, service.settings, principal=call.caller.principal, vm=resource)
    guest = service.fleet.guest(find_vm(service.cloud, resource))
    typed = f"stty rows {size.rows} cols {size.columns}\r"
    guest.type(typed.encode())
    return {"typed": typed}
