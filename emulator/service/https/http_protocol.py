"""HTTP connections that can't be held open by saying little: uvicorn's, with deadlines and a head limit.

uvicorn 0.54 waits for ever for the rest of a request's head, and of a body that its route did not
read; it takes heads of any size, and any number of connections.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from emulator.service.https.server import ServerConfig

HEAD_MAX = 65_536
HEAD_S = 15.0
CONNECTIONS_MAX = 800
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttp(HttpToolsProtocol):
    """One connection, from its handshake to its end or to its upgrade."""

    config: ServerConfig
    _heads = 0
    _head_bytes = 0
    _in_head = False
    _upgraded = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there are not too many connections already."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            self._end(_BUSY)
        else:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._be_content()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that is too large or too slow ends the connection."""
        heads = self._heads
        super().data_received(data)
        if self._upgraded or self.transport.is_closing() or not self._is_awaited():
            self._be_content()
            return
        self._expect()
        self._head_bytes = self._head_bytes + len(data) if heads == self._heads else 0
        if self._head_bytes > HEAD_MAX:
            self._end(_TOO_LARGE)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket's protocol."""
        self._upgraded = True
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that it is whole."""
        self._in_head = False
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that no more of the body comes, also where the answer came before it."""
        super().on_message_complete()
        if self.cycle is not None:
            self.cycle.more_body = False

    def on_response_complete(self) -> None:
        """Give what is left of a body that nobody read a deadline too."""
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._expect()

    def _is_idle(self) -> bool:
        # uvicorn says that it always is there; before the first request it is None.
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _is_awaited(self) -> bool:
        """Tell whether there is something that the client has begun and not finished."""
        return self._in_head or self._is_idle()

    def _expect(self) -> None:
        """Let the connection end if what is awaited does not come; a deadline that runs is kept."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.config.head_s, self._end, _TOO_SLOW)

    def _be_content(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, answer: bytes) -> None:
        self._be_content()
        if not self.transport.is_closing():
            if self._is_idle():
                self.transport.write(answer)
            self.transport.close()
