"""The HTTPS port: a socket bound before the application exists, and uvicorn with our limits on it."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from emulator.cloud.settings import require_public_host
from emulator.errors import LabError, SpecError, StateError
from emulator.service.https.admission import SEAT, Admission, Seat
from emulator.service.https.tls import is_loopback

HEAD_MAX = 65_536
HEAD_S = 15.0
CONNECTIONS_MAX = 400
"""Connections on which nobody has shown yet who it is; see `admission`."""
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
    _seat: Seat

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the oldest stranger's connection ends if there are too many."""
        super().connection_made(transport)
        self._seat = self.config.admission.enter(
            self.app_state, end=lambda: self._end(_BUSY), most=CONNECTIONS_MAX
        )
        if not self.transport.is_closing():
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        self._cancel_deadline()
        self._seat.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process received data; a head that is too large or too slow ends the connection."""
        heads = self._heads
        super().data_received(data)
        awaits_client = self._in_head or self._is_idle()
        if self._upgraded or self.transport.is_closing() or not awaits_client:
            self._cancel_deadline()
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
        """Note that the head is complete."""
        self._in_head = False
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body is complete, even if the answer was sent before."""
        super().on_message_complete()
        if self.cycle is not None:
            self.cycle.more_body = False

    def on_response_complete(self) -> None:
        """Set a deadline for the rest of a body that nobody read."""
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._expect()

    def _is_idle(self) -> bool:
        # uvicorn types it as always present; before the first request it is None.
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _expect(self) -> None:
        """Let the connection end if the client does not continue; a running deadline is kept."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.config.head_s, self._end, _TOO_SLOW)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, answer: bytes) -> None:
        self._cancel_deadline()
        if not self.transport.is_closing():
            if self._is_idle():
                self.transport.write(answer)
            self.transport.close()


class BoundedLink(WebSocketsSansIOProtocol):
    """One connection after its upgrade."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection's seat over."""
        super().connection_made(transport)
        self.app_state[SEAT].end = self._end

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the seat back."""
        self.app_state[SEAT].leave()
        super().connection_lost(exc)

    def _end(self) -> None:
        if self.handshake_complete and not self.transport.is_closing():
            self.conn.fail(TRY_AGAIN, "too many connections without a token")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.transport.close()


TRY_AGAIN = 1013
HANDSHAKE_S = 10.0
CLOSE_S = 1.0
"""How long a peer may take to answer our end of TLS, seconds."""
GRACE_S = 4
"""How long requests may continue when the server ends, seconds."""
MESSAGE_MAX = 2**20
PING_S = 20.0
BACKLOG = 512
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSocket:
    """A socket that is not served yet.

    Attributes:
        socket: bound and listening, so the port is ours.
        endpoint: "https://HOST:PORT" for clients.
        name: the host in it.
    """

    socket: socket.socket
    endpoint: str
    name: str


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, and what `BoundedHttp` adds to it."""

    head_s = HEAD_S

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext) -> None:
        super().__init__(
            app,
            http=BoundedHttp,
            # websockets' own parser; wsproto did two thirds of its rate over TLS (docs/facts/parts.md 6).
            ws=BoundedLink,
            ws_max_size=MESSAGE_MAX,
            ws_ping_interval=PING_S,  # a link whose peer has vanished ends after 40 s
            ws_ping_timeout=PING_S,
            ws_per_message_deflate=False,  # a window per link, and no gain on loopback
            lifespan="off",
            log_config=None,
            # At INFO uvicorn logs the URLs of WebSockets with their query, where old clients put the token.
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=15,
            backlog=BACKLOG,
        )
        self.tls = tls
        self.admission = Admission()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, and with a start that can be awaited."""

    config: ServerConfig

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command line."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as uvicorn does, but with deadlines for TLS."""
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                lambda: BoundedHttp(config=self.config, server_state=self.server_state, app_state={}),
                sock=one,
                ssl=self.config.tls,
                backlog=self.config.backlog,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=CLOSE_S,
            )
            for one in sockets or ()
        ]
        self.started = True
        self.ready.set()


def bind(host: str, port: int, *, public_host: str | None = None) -> BoundSocket:
    """Bind a socket on a loopback address; port 0 takes any.

    Args:
        host: "localhost" or a loopback address.
        port: 0 to 65535.
        public_host: its name for clients; by default "localhost", or the address if it is not 127.0.0.1.

    Raises:
        SpecError: the host is not a loopback address, or can't be the name in clients' URLs.
        StateError: the port is in use.
        LabError: it can't be bound for another reason.
    """
    if not is_loopback(host):
        raise SpecError(f"host is {host!r}; allowed: localhost and loopback addresses (127.0.0.1, ::1)")
    address = "127.0.0.1" if host.lower() == "localhost" else host
    name = require_public_host(public_host or _name_of(address))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        # Linux lets two sockets bind one port until one of them listens.
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise _refusal(address, port, error) from error
    except OverflowError as error:
        bound.close()
        raise SpecError(f"port is {port}; allowed: 0 to 65535") from error
    return BoundSocket(socket=bound, endpoint=endpoint_of(name, bound.getsockname()[1]), name=name)


def endpoint_of(host: str, port: int) -> str:
    """Return the endpoint of a service on `host`; raises SpecError if clients' URLs can't have that name."""
    name = require_public_host(_name_of(host))
    return f"https://[{name}]:{port}" if ":" in name else f"https://{name}:{port}"


@asynccontextmanager
async def open_server(app: ASGIApp, listener: BoundSocket, *, tls: ssl.SSLContext) -> AsyncIterator[None]:
    """Serve `app` on `listener` until the block ends; it answers requests once the block begins.

    At the end, requests have a few seconds to finish; the socket is closed in any case. Raises LabError if it
    can't listen.
    """
    server = _Server(ServerConfig(app, tls))
    task = asyncio.create_task(server.serve(sockets=[listener.socket]))
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            raise LabError(f"the server ended before it listened: {task.exception()}")
        yield
    finally:
        ready.cancel()
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.socket.close()


def _name_of(address: str) -> str:
    return "localhost" if address == "127.0.0.1" else address


def _refusal(address: str, port: int, error: OSError) -> StateError | LabError:
    if error.errno == errno.EADDRINUSE:
        return StateError(f"port {port} on {address} is in use; choose another with --port, or 0 for any")
    return LabError(f"port {port} on {address} can't be opened: {error.strerror}")
