"""A console whose port vanishes and returns, as one does that its board's power feeds."""

import socket
from contextlib import ExitStack

import pytest

from emulator.clock import Deadline
from emulator.console.serial_port import open_serial_console
from emulator.errors import ConsoleClosed, SpecError, StateError


def soon() -> Deadline:
    return Deadline.after(60.0)


class Server:
    """A console server that can be gone, always at the same port."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"socket://127.0.0.1:{self.port}"
        self.client = None

    def take(self):
        self.client, _ = self.listener.accept()

    def leave(self):
        if self.client is not None:
            self.client.close()
        self.listener.close()

    def come_back(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))


@pytest.fixture
def server():
    made = Server()
    yield made
    made.leave()


@pytest.fixture
def console(server):
    with ExitStack() as stack:
        opened = stack.enter_context(open_serial_console(server.url, returns=True))
        server.take()
        opened.rejoin(soon())
        yield opened


def read_until(console, text):
    version = 0
    deadline = soon()
    while text not in console.transcript.read():
        assert not deadline.expired(), console.transcript.read()
        version = console.transcript.wait_change(version, deadline)


def test_one_transcript_holds_what_came_before_and_after_the_port_was_away(server, console):
    server.client.sendall(b"before")
    read_until(console, b"before")
    console.let_go()
    server.leave()
    console.drain(soon())
    assert console.is_away
    assert not console.far_end_gone
    assert console.break_obstacle == "the port is away"
    console.write(b"into the void", soon())
    server.come_back()
    console.rejoin(soon())
    server.take()
    server.client.sendall(b"after")
    read_until(console, b"beforeafter")
    console.write(b"x" * 300_000, soon())  # more than a socket takes at once
    got = b""
    while len(got) < 300_000:
        got += server.client.recv(65536)
    assert got == b"x" * 300_000
    assert not console.is_away


def test_port_that_vanishes_when_it_may_not_is_lost(server, console):
    server.leave()
    read_marks = [mark.name for mark in console.transcript.marks]
    version = 0
    while "far-end-gone" not in read_marks:
        version = console.transcript.wait_change(version, soon())
        read_marks = [mark.name for mark in console.transcript.marks]
    assert console.far_end_gone
    with pytest.raises(ConsoleClosed):
        console.write(b"x", soon())


def test_port_that_does_not_come_back_is_told_at_the_deadline(server, console):
    console.let_go()
    server.leave()
    with pytest.raises(SpecError, match="refused"):
        console.rejoin(Deadline.after(0.2))
    with pytest.raises(StateError, match="the port is away"):
        console.send_break(soon())


def test_port_may_be_away_at_first(server):
    server.leave()
    with open_serial_console(server.url, returns=True) as console:
        assert console.is_away
        server.come_back()
        console.rejoin(soon())
        server.take()
        server.client.sendall(b"hello")
        read_until(console, b"hello")


@pytest.mark.parametrize("url", ["gopher://board", "socket://no-port"])
def test_port_that_is_named_wrongly_is_refused_at_once(url):
    with pytest.raises(SpecError), open_serial_console(url, returns=True):
        pass
