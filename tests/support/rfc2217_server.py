"""A network serial port (RFC 2217) in front of any channel, so that `rfc2217://` reaches a guest.

One client at a time; it sees what the far end writes from the moment it attaches, and its BREAK
becomes a call (for a machine QMP's `chardev-send-break`, the one way that reaches the guest,
docs/facts/hardware.md 2). Line settings are accepted and change nothing: an emulated UART has none.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, cast

import serial.rfc2217

from emulator.clock import Deadline
from emulator.console.channel import Channel, Cursor
from emulator.console.marks import MarkKind
from emulator.errors import EmulatorError, LabError, SpecError

_TAKE_S = 2.0  # how long a far end may refuse input (beyond the kernel's 20 kB) before its client is let go
_JOIN_S = 30.0
_OUTPUT_S = 3600.0  # an idle client's output thread wakes this often
_IAC = b"\xff"


class _Line:
    """The serial port that the client believes to set: it remembers everything and does nothing."""

    cts = dsr = cd = True
    ri = xonxoff = rtscts = False
    dtr = rts = True
    bytesize, parity, stopbits = 8, "N", 1

    def __init__(self, on_break: Callable[[], None]) -> None:
        self.baudrate = 115200
        self._on_break = on_break
        self._held = False

    @property
    def break_condition(self) -> bool:
        return self._held

    @break_condition.setter
    def break_condition(self, held: bool) -> None:
        begins, self._held = held and not self._held, held
        if begins:
            self._on_break()

    def reset_input_buffer(self) -> None:
        """Do nothing: what came is in the transcript."""

    def reset_output_buffer(self) -> None:
        """Do nothing: what went is gone."""


class _Client:
    """One attached client: telnet in on the server's thread, output on a thread of its own."""

    def __init__(self, link: socket.socket, console: Channel, line: _Line) -> None:
        self._socket = link
        self._console = console
        self._sending = threading.Lock()
        self._leaving = False
        self._cursor = Cursor(console.transcript, position=len(console.transcript))
        # PortManager asks for a Serial and a connection, and uses what is here.
        self._manager = serial.rfc2217.PortManager(cast("serial.rfc2217.Serial", line), cast("Any", self))
        self._thread = threading.Thread(target=self._show, name="rfc2217-output")
        self._thread.start()
        console.transcript.mark(MarkKind.LINK, "attached", {"by": "rfc2217"})

    def write(self, data: bytes) -> None:
        """Send telnet bytes, whole; PortManager answers through this too."""
        with self._sending:
            self._socket.sendall(data)

    def take(self) -> bool:
        """Take what the client sent; return whether it is still there."""
        try:
            data = self._socket.recv(4096)
            typed = b"".join(self._manager.filter(data))
            if typed:
                clock = self._console.transcript.clock
                self._console.write(typed, Deadline.after(_TAKE_S, clock))
        except (OSError, LabError):
            return False
        except (KeyError, TypeError, ValueError, struct.error):  # PortManager trusts what it is sent
            return False
        return bool(data)

    def close(self) -> None:
        """End the output thread, then the connection."""
        self._leaving = True
        with suppress(OSError):  # it was first
            self._socket.shutdown(socket.SHUT_RDWR)  # a stalled client holds the thread in sendall
        self._console.transcript.mark(MarkKind.LINK, "left", {"by": "rfc2217"})  # wakes the thread
        self._thread.join(_JOIN_S)
        self._socket.close()

    def _show(self) -> None:
        transcript = self._console.transcript
        while not self._leaving:
            version = transcript.version
            data = self._cursor.read()
            try:
                if data:
                    self.write(data.replace(_IAC, _IAC + _IAC))
                elif transcript.closed is not None:
                    self._socket.shutdown(socket.SHUT_RDWR)  # the server's thread sees the end
                    return
                else:
                    self._wait(version)
            except OSError:
                return

    def _wait(self, version: int) -> None:
        # `close` sets _leaving before its mark, so the version differs or _leaving is seen.
        if not self._leaving:
            transcript = self._console.transcript
            transcript.wait_change(version, Deadline.after(_OUTPUT_S, transcript.clock))


class _Server:
    """A thread that accepts, serves one client, and refuses others meanwhile."""

    def __init__(self, console: Channel, line: _Line, *, listener: socket.socket, wake: int) -> None:
        self._console = console
        self._line = line
        self._listener = listener
        self._wake = wake
        self._client: _Client | None = None
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="rfc2217-server")

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End the client's connection and the thread.

        Raises:
            LabError: the thread does not end.
        """
        os.eventfd_write(self._wake, 1)
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            raise LabError(f"the RFC 2217 server did not end within {_JOIN_S:g} s")

    def _run(self) -> None:
        with self._selector as selector:
            selector.register(self._listener, selectors.EVENT_READ, self._accept)
            selector.register(self._wake, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.data is None:
                        self._part()
                        return
                    key.data()

    def _accept(self) -> None:
        try:
            link, _ = self._listener.accept()
        except OSError:  # it left before it was let in
            return
        if self._client is not None:
            link.close()
            return
        self._attach(link)

    def _attach(self, link: socket.socket) -> None:
        try:
            link.settimeout(None)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = _Client(link, self._console, self._line)
        except OSError:  # it left while options were offered
            link.close()
            return
        self._client = client
        self._selector.register(link, selectors.EVENT_READ, partial(self._serve, client, link))

    def _serve(self, client: _Client, link: socket.socket) -> None:
        if not client.take():
            self._selector.unregister(link)
            self._part()

    def _part(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


@contextmanager
def open_rfc2217_server(
    console: Channel,
    *,
    on_break: Callable[[], None] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[tuple[str, int]]:
    """Serve `console` as `rfc2217://HOST:PORT`; gives the address, with a free port where `port` is 0.

    What `on_break` raises is a mark in the transcript; without it a BREAK is one too.

    Raises:
        SpecError: nothing can listen at this address.
        LabError: the server does not end.
    """

    def take_break() -> None:
        try:
            if on_break is None:
                raise LabError("this console has no BREAK")
            on_break()
        except EmulatorError as error:
            console.transcript.mark(MarkKind.LAB, "break-failed", {"reason": str(error)})

    with ExitStack() as stack:
        try:
            listener = stack.enter_context(socket.create_server((host, port), backlog=4))
        except OSError as error:
            raise SpecError(f"{host}:{port}: can't listen here: {error}") from error
        listener.settimeout(0.0)
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        stack.callback(os.close, wake)
        server = _Server(console, _Line(take_break), listener=listener, wake=wake)
        server.start()
        stack.callback(server.stop)
        yield cast("tuple[str, int]", listener.getsockname()[:2])
