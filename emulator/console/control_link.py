"""`control.sock`: one JSON line in, one JSON line out, for those who are not the machine's owner."""

from __future__ import annotations

import json
import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from emulator.console.links import LINE_MAX, listen_unix
from emulator.errors import LabError, SpecError

CONTROL_SOCKET = "control.sock"
_CLIENT_S = 5.0  # for each read and write of a client
_JOIN_S = 60.0

ControlHandler = Callable[[dict[str, Any]], dict[str, Any]]


class _ControlServer:
    """A thread that answers one client after the other; the handler may take its time."""

    def __init__(self, listener: socket.socket, wake: int, handler: ControlHandler) -> None:
        self._listener = listener
        self._wake = wake
        self._handler = handler
        self._thread = threading.Thread(target=self._run, name="control-link")

    def start(self) -> None:
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
                except OSError:  # it left before it was let in
                    continue
                with client:
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(_CLIENT_S)
        try:
            answer = self._answer(read_line(client))
            client.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:  # it left, or stalls: its own loss
            return

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request: Any = json.loads(line)
            if not isinstance(request, dict):
                raise SpecError("a request is one JSON object on a line")  # noqa: TRY301 - one answer for all
            return self._handler(request)
        except ValueError as error:  # also SpecError
            return {"error": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever the owner's handler raises is the client's answer
            return {"error": str(error) or repr(error)}


def read_line(link: socket.socket) -> bytes:
    """Read up to the first line end; what comes behind it is dropped.

    Returns b"" where the peer ended without one, or sent more than LINE_MAX bytes.

    Raises:
        OSError: the peer is gone, or is silent longer than the socket's timeout.
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
    """Serve requests at `path` with `handler`, on a thread of their own.

    What the handler raises is answered as `{"error": TEXT}`.

    Raises:
        SpecError: nothing can listen there.
        LabError: the handler still runs long after the end.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(listen_unix(path))
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        stack.callback(os.close, wake)
        server = _ControlServer(listener, wake, handler)
        server.start()
        stack.callback(server.stop)
        yield path
