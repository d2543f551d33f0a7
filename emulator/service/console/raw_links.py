"""ttylab's own links, off Azure's paths: raw bytes or the timeline, from any offset, to watch or to type.

They hold nothing: a link of Azure's kind may come and go beside them.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from enum import StrEnum

from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.cloud.console_access import find_vm
from emulator.console.marks import Chunk, MarkKind
from emulator.console.transcript import Transcript, mark_line
from emulator.errors import ConsoleClosed, EmulatorError, SpecError
from emulator.service.console.gateway import start_on_demand
from emulator.service.console.link_life import Feed, Keystrokes, receive_data, run_until_left, serve_link
from emulator.service.core.context import Service
from emulator.service.parts.links import Link


class LinkFormat(StrEnum):
    """What comes out of a link."""

    RAW = "raw"
    """BINARY frames: the guest's bytes and nothing else."""
    TIMELINE = "timeline"
    """TEXT frames, one JSON object each: `{"t", "out": [start, end], "data": base64}`,
    `{"t", "at", "mark", "name", "detail"}`; `t` in seconds since the console was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """How a link is wanted.

    Attributes:
        start: offset in the guest's output, None is its end.
        format: what comes out.
        types: whether what comes in is typed; else it is ignored.
    """

    start: int | None
    format: LinkFormat
    types: bool


def read_link_request(*, start: str, mode: str, link_format: str) -> LinkRequest:
    """Return what the query of a link's URL asks for.

    Raises:
        SpecError: a value is none of those allowed.
    """
    if mode not in ("read", "write"):
        raise SpecError(f"mode is {mode[:20]!r}; allowed: read, write")
    if link_format not in tuple(LinkFormat):
        raise SpecError(f"format is {link_format[:20]!r}; allowed: {', '.join(LinkFormat)}")
    offsets = {"start": 0, "end": None}
    if start not in offsets and not (start.isascii() and start.isdigit() and len(start) <= 15):
        raise SpecError(f"from is {start[:20]!r}; allowed: start, end, or an offset in bytes")
    offset = offsets[start] if start in offsets else int(start)
    return LinkRequest(start=offset, format=LinkFormat(link_format), types=mode == "write")


async def serve_raw(socket: WebSocket, link: Link, request: LinkRequest, *, service: Service) -> None:
    """Serve a trusted link until either side ends it."""
    await serve_link(
        socket, link, lambda: _carry(socket, link, request, service=service), service=service, shows_why=False
    )


async def _carry(socket: WebSocket, link: Link, request: LinkRequest, *, service: Service) -> None:
    guest = service.fleet.guest(find_vm(service.cloud, link.vm))
    transcript = guest.transcript
    start = len(transcript) if request.start is None else max(transcript.first, request.start)
    transcript.mark(MarkKind.LINK, "watching", {"by": link.name, "may_type": request.types})
    try:
        with Feed(transcript, position=min(start, len(transcript))) as feed:
            out = (
                _send_raw(socket, feed) if request.format is LinkFormat.RAW else _send_timeline(socket, feed)
            )
            keystrokes = Keystrokes(guest) if request.types else None
            await run_until_left(
                asyncio.create_task(out),
                asyncio.create_task(_take_input(socket, keystrokes)),
                asyncio.create_task(start_on_demand(service, link, guest)),
            )
    except WebSocketDisconnect:
        pass
    except EmulatorError as error:
        link.end(1011, str(error).splitlines()[0])


async def _send_raw(socket: WebSocket, feed: Feed) -> None:
    while data := await feed.read():
        await socket.send_bytes(data)


async def _take_input(socket: WebSocket, keystrokes: Keystrokes | None) -> None:
    while True:
        data = await receive_data(socket)
        if keystrokes is not None:
            await keystrokes.type(data)


async def _send_timeline(socket: WebSocket, feed: Feed) -> None:
    reader = TimelineReader(feed.transcript, position=feed.position)
    while True:
        feed.acknowledge()
        for line in reader.new():
            await socket.send_text(json.dumps(line, separators=(",", ":")))
        if not await feed.wait():
            return


class TimelineReader:
    """Tells what is new in a transcript, bytes and marks, in the order in which they came."""

    def __init__(self, transcript: Transcript, *, position: int) -> None:
        self._transcript = transcript
        self._position = position
        self._marks = 0
        self._start = position

    def new(self) -> list[dict[str, object]]:
        """Return a JSON-ready object for each stamp and mark that came since the last call.

        Raises:
            ConsoleClosed: the transcript has forgotten bytes that were not told yet.
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
