"""From a WebSocket to a machine's serial line: what is typed, at the pace that the machine takes it."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.errors import ConsoleClosed, StateError
from emulator.fleet.guest import Guest

UNCHECKED_MAX = 256
"""Bytes that are typed before it is asked whether the machine keeps up."""
INPUT_WAIT_S = 30.0


async def receive_data(socket: WebSocket) -> bytes:
    """Return the bytes of the next message that has any, TEXT or BINARY.

    Raises:
        WebSocketDisconnect: the client has left.
    """
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

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._unchecked = 0

    async def type(self, data: bytes) -> None:
        """Type `data`; what comes while the machine is off is lost, as on a real line.

        Raises:
            ConsoleClosed: the machine took nothing for INPUT_WAIT_S seconds.
        """
        try:
            self._guest.type(data)
        except StateError:
            return
        self._unchecked += len(data)
        if self._unchecked > UNCHECKED_MAX:
            await self._wait()

    async def _wait(self) -> None:
        self._unchecked = 0
        try:
            await asyncio.wait_for(self._guest.wait_typed(), INPUT_WAIT_S)
        except TimeoutError:
            raise ConsoleClosed(f"the machine took no input for {INPUT_WAIT_S:g} s") from None
