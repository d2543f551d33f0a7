"""One WebSocket to a console: bytes in and out, and how it ended (docs/facts/azure.md 3).

Two threads serve a link, both joined when its `with` ends: one reads frames and passes on their bytes, the
other sends the queue. A slow receiver slows only its own socket.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from emulator.clock import Deadline
from emulator.errors import ConsoleClosed, DeadlineExceeded
from harness.azure.http import Reply, host_of
from harness.azure.names import ABNORMAL, EndKind, judge_end
from harness.scenario.errors import ServiceUnreachable

FRAME_MAX = 4 << 20
QUEUED_FRAMES = 16
"""Frames to queue, unread or unsent; the others wait in the sockets."""
PIECE = 4096
"""Most bytes in one frame to the service."""
CLOSE_S = 3.0
JOIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnd:
    """How a link ended.

    Attributes:
        kind: what the end means.
        code: WebSocket close code; 1006 if there was no close frame.
        reason: the service's reason; "" if it gave none.
    """

    kind: EndKind
    code: int
    reason: str

    def __str__(self) -> str:
        """Return code and reason for people."""
        return f"{self.code}: {self.reason}" if self.reason else str(self.code)


@dataclass(slots=True)
class _Outgoing:
    """Bytes to send: `done` is set once they are sent, or can't be sent any more."""

    data: bytes
    done: threading.Event
    sent: bool = False


class ConsoleLink:
    """An open WebSocket; any method may be called on any thread.

    Attributes:
        ended: set when the link has ended.
        end: how it ended; None while it is open.
    """

    def __init__(
        self,
        connection: ClientConnection,
        *,
        receive: Callable[[bytes], None],
        on_end: Callable[[], None] = lambda: None,
        token: str | None = None,
    ) -> None:
        self.ended = threading.Event()
        self._socket = connection
        self._receive = receive
        self._on_end = on_end
        self._token = token
        self._leaving = False
        self._sending = threading.Event()
        self.end: LinkEnd | None = None
        self._outgoing: queue.Queue[_Outgoing | None] = queue.Queue(maxsize=QUEUED_FRAMES)
        self._threads = [
            threading.Thread(target=work, name=f"link-{name}")
            for name, work in (("reader", self._read), ("writer", self._write))
        ]

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send `data` to the service; returns once the socket has taken all of it.

        Raises ConsoleClosed if the link has ended, DeadlineExceeded if the service took no more.
        """
        for start in range(0, len(data), PIECE):
            item = _Outgoing(data[start : start + PIECE], threading.Event())
            self._put(item, deadline)
            while not item.done.wait(min(deadline.remaining(), 0.2)):
                self._raise_if_over(deadline, start)
            if not item.sent:
                raise ConsoleClosed(f"the link has ended ({self.end}); {start} bytes were handed over")

    def start(self) -> None:
        """Send the token, before anything typed could be taken for it; then read and write."""
        if self._token is not None:
            with suppress(ConnectionClosed, OSError):  # the reader will notice
                self._socket.send(self._token)
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Close the link and wait for both threads; a second call does nothing."""
        self._leaving = True
        if self._sending.is_set():  # a service that reads nothing would not read a close frame either
            with suppress(OSError):
                self._socket.socket.shutdown(socket.SHUT_RDWR)
        with suppress(ConnectionClosed, OSError):
            self._socket.close(1000)
        with suppress(OSError):
            self._socket.socket.close()
        with suppress(queue.Full):
            self._outgoing.put_nowait(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(JOIN_S)

    # -- inside --------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            if self._token is not None:
                self._socket.recv()  # "Connecting...", which is not the guest's
            while True:
                message = self._socket.recv()
                data = message.encode() if isinstance(message, str) else message
                if data:  # an empty frame only wakes az
                    self._receive(data)
        except ConnectionClosed as error:
            close = error.rcvd
            self._finish(ABNORMAL if close is None else close.code, "" if close is None else close.reason)
        except (OSError, ValueError) as error:  # from the socket or from the receiver
            self._finish(ABNORMAL, str(error))
        finally:
            if self.end is None:  # a bug, which the thread still raises: nobody may wait for ever
                self._finish(ABNORMAL, "the link's reader failed")

    def _finish(self, code: int, reason: str) -> None:
        self.end = LinkEnd(kind=judge_end(code, reason, ours=self._leaving), code=code, reason=reason)
        self.ended.set()
        with suppress(queue.Full):
            self._outgoing.put_nowait(None)
        self._on_end()

    def _write(self) -> None:
        while not self.ended.is_set() and (item := self._outgoing.get()) is not None:
            self._sending.set()
            with suppress(ConnectionClosed, OSError):
                self._socket.send(item.data)
                item.sent = True
            self._sending.clear()
            item.done.set()
        with suppress(queue.Empty):
            while True:
                left = self._outgoing.get_nowait()
                if left is not None:
                    left.done.set()

    def _put(self, item: _Outgoing, deadline: Deadline) -> None:
        while True:
            self._raise_if_over(deadline, 0)
            with suppress(queue.Full):
                self._outgoing.put(item, timeout=min(max(deadline.remaining(), 0.001), 0.2))
                return

    def _raise_if_over(self, deadline: Deadline, sent: int) -> None:
        if self.ended.is_set():
            raise ConsoleClosed(f"the link has ended ({self.end}); {sent} bytes were handed over")
        if deadline.expired():
            raise DeadlineExceeded(f"the service took no more than {sent} bytes in time")


@contextmanager
def open_link(
    url: str,
    *,
    receive: Callable[[bytes], None],
    deadline: Deadline,
    ca: Path | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    on_end: Callable[[], None] = lambda: None,
) -> Iterator[ConsoleLink]:
    """Open a link during the `with`.

    `url` is a connection string, or one of ttylab's own links, whose handshake has `headers`. `receive` is
    called with the guest's bytes on the link's thread, where further bytes wait in the socket, and `on_end`
    there at the end. Without `ca`, a PEM file, the system's authorities are trusted. A `token` is sent as the
    first frame, for links of Azure's kind; the service's first frame, which is not the guest's, is then
    dropped. The `deadline` is for the handshake.

    Raises ServiceRefused if the service refused the upgrade, ServiceUnreachable if the handshake failed.
    """
    with ExitStack() as stack:
        connection = _connect(stack, url, ca=ca, headers=headers or {}, deadline=deadline)
        link = ConsoleLink(connection, receive=receive, on_end=on_end, token=token)
        stack.callback(link.close)
        link.start()
        yield link


def _connect(
    stack: ExitStack, url: str, *, ca: Path | None, headers: Mapping[str, str], deadline: Deadline
) -> ClientConnection:
    try:
        opened = connect(
            url,
            ssl=_context(ca) if url.startswith("wss:") else None,
            additional_headers=dict(headers),
            compression=None,
            open_timeout=max(deadline.remaining(), 0.001),
            close_timeout=CLOSE_S,
            max_size=FRAME_MAX,
            max_queue=QUEUED_FRAMES,
            **({} if ca is None else {"proxy": None}),
        )
        connection: ClientConnection = stack.enter_context(opened)
    except InvalidStatus as error:
        reply = Reply(status=error.response.status_code, body=bytes(error.response.body or b""))
        text = reply.body[:200].decode("utf-8", "replace").strip()
        raise reply.refusal("opening the link", text=text) from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        why = str(error) or type(error).__name__
        raise ServiceUnreachable(f"{host_of(url)} can't be reached: {why}") from error
    return connection


def _context(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
