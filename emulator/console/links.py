"""`console.sock` and `control.sock`: how other processes join a running machine; both ends of each.

On `console.sock` a client sends one JSON line, `{"mode": "read"|"write", "from": "start"|"end"|OFFSET}`, and
gets one back: `{"console": NAME, "from": OFFSET}`, or `{"error": TEXT}` and the end. Bytes follow, both ways;
what a client with mode "read" types is ignored. `control.sock` answers one JSON line with another.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from emulator.clock import Deadline
from emulator.console.channel import Cursor
from emulator.console.loop import Loop, Port
from emulator.console.marks import MarkKind
from emulator.console.outgoing import INPUT_SIZE, LinkFlow, OutgoingQueue
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, ControlError, LabError, SpecError
from emulator.files import make_private_directory

CONSOLE_SOCKET = "console.sock"
LINE_MAX = 65536
ANSWER_MAX = 16 << 20
"""Bytes of an answer: QEMU describes its own QMP in 200 KiB."""
HEADER_S = 5.0  # from connecting to the end of the first line
CLIENTS_MAX = 64


def read_greeting(line: bytes, length: int) -> tuple[bool, int]:
    """Return whether the client may type, and where in `length` bytes it starts; raises SpecError."""
    try:
        greeting: Any = json.loads(line)
    except ValueError:
        raise SpecError("the first line is not JSON") from None
    if not isinstance(greeting, dict) or greeting.keys() - {"mode", "from"}:
        raise SpecError('the first line is not {"mode": …, "from": …}')
    mode, start = greeting.get("mode", "read"), greeting.get("from", "end")
    if mode not in ("read", "write"):
        raise SpecError(f'mode is {mode!r}; allowed: "read", "write"')
    if start in ("start", "end"):
        return mode == "write", 0 if start == "start" else length
    if not isinstance(start, int) or isinstance(start, bool) or not 0 <= start <= length:
        raise SpecError(f'from is {start!r}; allowed: "start", "end", 0 to {length}')
    return mode == "write", start


class _Client(Port):
    """The loop's port on one attached client."""

    def __init__(self, link: socket.socket, listener: _Listener) -> None:
        link.settimeout(0.0)
        self._socket = link
        self._listener = listener
        self._flow = LinkFlow(Cursor(listener.transcript), listener.queue)
        self._header: bytes | None = b""  # what came of the first line, None once it is whole
        self._header_due = listener.clock.monotonic() + HEADER_S
        self._may_type = False
        self._full = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def due(self) -> float | None:
        return None if self._header is None else self._header_due

    def prepare(self) -> int:
        if self._header is not None:
            if self._listener.clock.monotonic() >= self._header_due:
                self._refuse(f"no first line within {HEADER_S:g} s")
            return selectors.EVENT_READ
        if not self._full:
            self._full = self._flow.push(self._write)
        events = selectors.EVENT_READ if self._flow.hungry() else 0
        return events | (selectors.EVENT_WRITE if self._full else 0)

    def serve(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._full = False
        if events & selectors.EVENT_READ:
            self._read()

    def close(self) -> None:
        self._socket.close()
        self._listener.clients -= 1

    def _read(self) -> None:
        try:
            data = self._socket.recv(INPUT_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave()
        elif self._header is not None:
            self._greet(self._header + data)
        elif self._may_type:
            self._flow.type(data)

    def _greet(self, received: bytes) -> None:
        line, newline, typed = received.partition(b"\n")
        if len(line) > LINE_MAX:
            self._refuse(f"the first line is longer than {LINE_MAX} bytes")
        elif not newline:
            self._header = received
        else:
            self._attach(line, typed)

    def _attach(self, line: bytes, typed: bytes) -> None:
        transcript = self._listener.transcript
        try:
            self._may_type, self._flow.cursor.position = read_greeting(line, len(transcript))
        except SpecError as error:
            self._refuse(str(error))
            return
        self._header = None
        self._answer({"console": transcript.name, "from": self._flow.cursor.position})
        transcript.mark(MarkKind.LINK, "attached", {"may_type": self._may_type})
        if typed and self._may_type:
            self._flow.type(typed)

    def _refuse(self, reason: str) -> None:
        self._answer({"error": reason})
        self._listener.loop.remove(self)

    def _answer(self, answer: dict[str, object]) -> None:
        # A new socket's buffer takes a whole line; a peer that has left is noticed at the next read.
        self._write(json.dumps(answer).encode() + b"\n")

    def _leave(self) -> None:
        if self._header is None:
            self._listener.transcript.mark(MarkKind.LINK, "left", {"may_type": self._may_type})
        self._listener.loop.remove(self)

    def _write(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:  # it has left, as the next read says; until then its output goes nowhere
            return len(data)


class _Listener(Port):
    """The loop's port on `console.sock`."""

    def __init__(
        self, listener: socket.socket, transcript: Transcript, queue: OutgoingQueue, *, loop: Loop
    ) -> None:
        self.transcript = transcript
        self.queue = queue
        self.loop = loop
        self.clock = transcript.clock
        self.clients = 0
        self._socket = listener

    def fileno(self) -> int:
        return self._socket.fileno()

    def prepare(self) -> int:
        return selectors.EVENT_READ if self.clients < CLIENTS_MAX else 0

    def serve(self, events: int) -> None:
        if not events:
            return
        try:
            link, _ = self._socket.accept()
        except OSError:  # it left before it was accepted, or the process is out of descriptors
            return
        self.clients += 1
        self.loop.add(_Client(link, self))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def open_links(
    directory: Path, transcript: Transcript, queue: OutgoingQueue, *, loop: Loop
) -> Iterator[Path]:
    """Serve `console.sock` in `directory` on the pump's thread; errors are those of `listen_unix`."""
    with listen_unix(directory / CONSOLE_SOCKET) as listener:
        loop.add(_Listener(listener, transcript, queue, loop=loop))
        yield directory / CONSOLE_SOCKET


@contextmanager
def listen_unix(path: Path) -> Iterator[socket.socket]:
    """Listen on a unix socket (0600, in a directory 0700), unlinked at the end; SpecError: it can't be."""
    make_private_directory(path.parent)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            listener.bind(os.fspath(path))
        except OSError as error:  # "AF_UNIX path too long", or another process serves here
            raise SpecError(f"{path}: can't listen here: {error}") from error
        stack.callback(path.unlink, missing_ok=True)
        path.chmod(0o600)
        listener.settimeout(0.0)
        listener.listen(16)
        yield listener


CONTROL_SOCKET = "control.sock"
_CLIENT_S = 5.0  # for each read from a client and each write to it
_JOIN_S = 60.0

ControlHandler = Callable[[dict[str, Any]], dict[str, Any]]


class _ControlServer:
    """A thread that answers one client after another; the handler may take its time."""

    def __init__(self, listener: socket.socket, wake: int, handler: ControlHandler) -> None:
        self._listener = listener
        self._wake = wake
        self._handler = handler
        self._thread = threading.Thread(target=self._run, name="control-link")
        self._thread.start()

    def stop(self) -> None:
        os.eventfd_write(self._wake, 1)
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            raise LabError(f"a control request did not end within {_JOIN_S:g} s")

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while all(key.fd != self._wake for key, _ in selector.select()):
                try:
                    client, _ = self._listener.accept()
                except OSError:  # it left before it was accepted
                    continue
                with client:
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(_CLIENT_S)
        with suppress(OSError):  # it left or stalls, and loses the answer
            answer = self._answer(read_line(client))
            client.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request: Any = json.loads(line)
            if not isinstance(request, dict):
                raise SpecError("a request is one JSON object on a line")  # noqa: TRY301 - one answer for all
            return self._handler(request)
        except Exception as error:  # noqa: BLE001 - whatever the handler raises is the client's answer
            return {"error": str(error) or repr(error)}


def read_line(link: socket.socket) -> bytes:
    """Return the first line without its end, and drop what follows it.

    It is b"" if the peer ended before the line, or sent more than LINE_MAX bytes.

    Raises:
        OSError: the peer is gone, or silent for longer than the socket's timeout.
    """
    received = b""
    while b"\n" not in received:
        data = link.recv(4096)
        if not data or len(received) > LINE_MAX:
            return b""
        received += data
    return received.partition(b"\n")[0]


@contextmanager
def open_control_link(path: Path, handler: ControlHandler) -> Iterator[Path]:
    """Serve requests at `path` with `handler`, on a separate thread.

    What the handler raises is answered as `{"error": TEXT}`.

    Raises:
        SpecError: nothing can listen there.
        LabError: the handler runs on long after the end.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(listen_unix(path))
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        stack.callback(os.close, wake)
        stack.callback(_ControlServer(listener, wake, handler).stop)
        yield path


@contextmanager
def open_link(
    path: Path, *, mode: Literal["read", "write"], start: Literal["start", "end"] | int, deadline: Deadline
) -> Iterator[socket.socket]:
    """Attach to a console; the socket delivers the guest's bytes from `start` on.

    The socket blocks and has no timeout; it ends with the console.

    Raises:
        ConsoleClosed: nobody serves there.
        SpecError: the server refused `mode` or `start`.
    """
    with _connect(path, ConsoleClosed, deadline) as link:
        greeting = {"mode": mode, "from": start}
        answer = _exchange(link, greeting, ConsoleClosed, read=lambda: _read_bytewise(link))
        if "error" in answer:
            raise SpecError(f"{path}: {answer['error']}")
        link.settimeout(None)
        yield link


def request_control(path: Path, request: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
    """Return the answer of the machine's owner; raises ControlError for a refusal or none in time."""
    with _connect(path, ControlError, deadline) as link, link.makefile("rb") as reader:
        answer = _exchange(link, request, ControlError, read=lambda: reader.readline(ANSWER_MAX))
    if "error" in answer:
        raise ControlError(str(answer["error"]))
    return answer


@contextmanager
def _connect(path: Path, fault: type[LabError], deadline: Deadline) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(max(deadline.remaining(), 0.001))
        try:
            link.connect(os.fspath(path))
        except OSError as error:
            raise fault(f"{path}: no machine answers here: {error}") from error
        yield link


def _read_bytewise(link: socket.socket) -> bytes:
    """Read a line byte by byte, since what follows it is the caller's; less at the end of the link."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) <= LINE_MAX and (byte := link.recv(1)):
        line += byte
    return bytes(line)


def _exchange(
    link: socket.socket, request: dict[str, Any], fault: type[LabError], *, read: Callable[[], bytes]
) -> dict[str, Any]:
    """Send a line and read one with `read`."""
    try:
        link.sendall(json.dumps(request).encode() + b"\n")
        line = read()
        if not line:
            raise fault("the machine ended before it answered")
        answer: Any = json.loads(line)
    except OSError as error:
        raise fault(f"the machine did not answer: {error}") from error
    except ValueError as error:
        raise fault(f"the machine's answer is not JSON: {line[:80]!r}") from error
    if not isinstance(answer, dict):
        raise fault(f"the machine's answer is not an object: {line[:80]!r}")
    return answer
