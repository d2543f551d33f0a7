"""A console behind a plain TCP port, one client at a time, as terminal servers offer it (`socket://`)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from emulator.clock import Deadline
from emulator.console.channel import Channel, Cursor

TURN_S = 0.05


@contextmanager
def open_socket_server(console: Channel) -> Iterator[tuple[str, int]]:
    """Serve `console` on loopback; what is given is host and port."""
    leaving = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TURN_S)
        thread = threading.Thread(target=_serve, args=(listener, console, leaving), name="socket-server")
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            leaving.set()
            thread.join(10.0)


def _serve(listener: socket.socket, console: Channel, leaving: threading.Event) -> None:
    while not leaving.is_set():
        with suppress(TimeoutError):
            client, _ = listener.accept()
            with client:
                _carry(client, console, leaving)


def _carry(client: socket.socket, console: Channel, leaving: threading.Event) -> None:
    """Carry bytes both ways until the client goes."""
    client.settimeout(TURN_S)
    cursor = Cursor(console.transcript, position=len(console.transcript))
    while not leaving.is_set():
        with suppress(TimeoutError):
            typed = client.recv(4096)
            if not typed:
                return
            console.write(typed, Deadline.after(30.0))
        try:
            client.sendall(cursor.read())
        except OSError:
            return
