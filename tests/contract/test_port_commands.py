"""`attach --port` and `record-console --port` when the far end leaves: a device, a peer, a port server."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from emulator.clock import Deadline
from emulator.console.pump import open_console
from emulator.console.transcript import load_transcript
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED
from tests.support.rfc2217_server import open_rfc2217_server

PATIENCE_S = 60


class Device:
    """A pty in place of a device: closing its master is what unplugging an adapter is."""

    loss = "the device hung up: was it unplugged?"

    def __init__(self):
        self.master, slave = pty.openpty()
        self.url = os.ttyname(slave)
        self.slave = slave

    def say(self, text):
        os.write(self.master, text)

    def leave(self):
        os.close(self.master)
        os.close(self.slave)


class Peer:
    loss = "the peer closed the connection"

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = "socket://{}:{}".format(*self.server.getsockname())
        self.server.settimeout(PATIENCE_S)
        self.link = None

    def say(self, text):
        self.link, _ = self.server.accept()
        self.link.sendall(text)

    def leave(self):
        self.link.close()
        self.server.close()


class PortServer:
    loss = "the port server closed the connection"

    def __init__(self):
        self.stack = ExitStack()
        self.console = self.stack.enter_context(open_console())
        host, port = self.stack.enter_context(open_rfc2217_server(self.console))
        self.url = f"rfc2217://{host}:{port}"

    def say(self, text):
        transcript, version = self.console.transcript, 0
        while not any(mark.name == "attached" for mark in transcript.marks):
            version = transcript.wait_change(version, Deadline.after(PATIENCE_S))
        with self.console.path.open("wb", buffering=0) as far_end:
            far_end.write(text)

    def leave(self):
        self.stack.close()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory for what a command leaves: a short one, since it holds sockets."""
    with TemporaryDirectory(prefix="t-") as directory:
        yield Path(directory)


@pytest.fixture
def start(tmp_path, scratch) -> Iterator:
    """Start a command whose input stays open."""
    environment = os.environ | {"TMPDIR": str(scratch), "TTYLAB_STATE": str(tmp_path / "state")}
    with ExitStack() as stack:

        def run(*words):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.cli", *words],
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield run


def read_until(stream, text):
    shown = b""
    while text not in shown:
        ready, _, _ = select.select([stream], [], [], PATIENCE_S)
        data = os.read(stream.fileno(), 4096) if ready else b""
        assert data, shown
        shown += data


@pytest.mark.parametrize("kind", [Device, Peer, PortServer])
@pytest.mark.parametrize("command", ["attach", "record-console"])
def test_far_end_that_leaves_ends_the_command_which_says_so(start, tmp_path, scratch, command, kind):
    far_end = kind()
    more = () if command == "attach" else ("--into", "kept", "--for", "600")
    process = start(command, "--port", far_end.url, *more)
    read_until(process.stderr, b"to leave")
    far_end.say(b"last words\r\n")
    read_until(process.stdout, b"last words")
    far_end.leave()
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == EXIT_BROKEN, said
    assert said.decode().splitlines()[-1] == f"ttylab: error: {far_end.url}: {far_end.loss}"
    assert list(scratch.iterdir()) == []
    if command == "record-console":
        assert load_transcript(tmp_path / "kept" / "sanitised").read() == b"last words\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_command_and_leaves_nothing(start, scratch, number):
    far_end = Peer()
    process = start("attach", "--port", far_end.url)
    read_until(process.stderr, b"to leave")
    far_end.say(b"hello")
    read_until(process.stdout, b"hello")
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    far_end.leave()
    assert (process.returncode, b"interrupted by " in said) == (EXIT_INTERRUPTED, True)
    assert list(scratch.iterdir()) == []
