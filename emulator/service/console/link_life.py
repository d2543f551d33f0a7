"""The life of a link, Azure's or ttylab's own: it opens, carries bytes both ways, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, StateError
from emulator.fleet.machine_guest import MachineGuest, wait_change
from emulator.service.core.context import Service
from emulator.service.parts.links import Link, LinkEnding

GOODBYE_S = 5.0
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def serve_link(
    socket: WebSocket, link: Link, talk: Work, *others: Work, service: Service, shows_why: bool = True
) -> None:
    """Open `link`, on a socket that is not yet accepted, and run `talk` until either side ends it.

    `talk` carries the bytes, and the link ends with it. With `shows_why` the console shows why the link ends,
    before the close frame.
    """
    await socket.accept()
    with service.links.opened(link):
        tasks = [asyncio.create_task(work()) for work in (talk, *others)]
        try:
            await link.wait_end(tasks[0])
        finally:
            await _end_tasks(*tasks)
        if link.ending.done():
            await _say_goodbye(socket, link.ending.result(), show=shows_why)


async def run_until_left(
    output: asyncio.Task[None], typing: asyncio.Task[None], *others: asyncio.Task[None]
) -> None:
    """Wait until output or input ends, then end the other tasks; the first failure of a task is raised."""
    tasks = (output, typing, *others)
    waiting = set(tasks)
    try:
        while output in waiting and typing in waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        await _end_tasks(*tasks)


async def _say_goodbye(socket: WebSocket, ending: LinkEnding, *, show: bool) -> None:
    """Show the reason on the console, because az shows no close reason, then close."""
    with suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
        async with asyncio.timeout(GOODBYE_S):
            if ending.notice and show:
                await socket.send_text(f"\r\n{ending.notice}\r\n")
            await socket.close(ending.code, ending.reason)


async def _end_tasks(*tasks: asyncio.Task[None]) -> None:
    """Cancel `tasks` and wait for their ends."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


READ_SIZE = 32_768


class Feed:
    """Reads a transcript as it grows.

    Attributes:
        transcript: the transcript.
        position: offset of the next byte.
    """

    def __init__(self, transcript: Transcript, *, position: int) -> None:
        self.transcript = transcript
        self.position = position

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return up to `size` bytes as soon as there is one; b"" at the transcript's end.

        Raises:
            ConsoleClosed: the transcript has dropped bytes that were not read yet.
        """
        while True:
            version, closed = self.transcript.version, self.transcript.closed is not None
            data = self.transcript.read(self.position, self.position + size)
            if self.position < self.transcript.first:
                raise ConsoleClosed(
                    f"this reader is too slow: {self.transcript.first - self.position} bytes of"
                    f" {self.transcript.name} are gone"
                )
            self.position += len(data)
            if data or closed:
                return data
            await wait_change(self.transcript, version)


UNCHECKED_MAX = 256
"""Bytes to type before checking whether the machine keeps up."""
INPUT_WAIT_S = 30.0


async def receive_data(socket: WebSocket) -> bytes:
    """Return the bytes of the next message that is not empty; raises WebSocketDisconnect at the end."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006), message.get("reason"))
        text = message.get("text")
        data: bytes = message.get("bytes") or b"" if text is None else text.encode()
        if data:
            return data


class Keystrokes:
    """Types into one guest for one link."""

    def __init__(self, guest: MachineGuest) -> None:
        self._guest = guest
        self._unchecked = 0

    async def type(self, data: bytes) -> None:
        """Type `data`; while the machine is off it is lost, as on a real line.

        Raises:
            ConsoleClosed: the machine took nothing for INPUT_WAIT_S seconds.
        """
        try:
            self._guest.type(data)
        except StateError:
            return
        self._unchecked += len(data)
        if self._unchecked <= UNCHECKED_MAX:
            return
        self._unchecked = 0
        try:
            await asyncio.wait_for(self._guest.wait_typed(), INPUT_WAIT_S)
        except TimeoutError:
            raise ConsoleClosed(f"the machine took no input for {INPUT_WAIT_S:g} s") from None


def line_start(data: bytes, *, lines: int) -> int:
    """Return where the last `lines` lines of `data` begin; an unfinished last line counts.

    A line that began before `data` starts at its first whole character.
    """
    if lines <= 0:
        return len(data)
    start = len(data)
    for _ in range(lines):
        start = data.rfind(b"\n", 0, start)
        if start < 0:
            break
    start += 1
    while start < len(data) and data[start] & 0xC0 == 0x80:  # inside a UTF-8 character
        start += 1
    return start
