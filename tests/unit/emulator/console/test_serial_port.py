"""Serial ports by URL: which can be opened, which can carry a BREAK, and the RFC 2217 server."""

import errno
import os
import socket
import threading
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace

import pytest
import serial

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.console.pump import Console, open_console
from emulator.console.serial_port import SerialConsole, open_serial_console, port_identity
from emulator.errors import ConsoleClosed, ControlError, SpecError, StateError
from tests.support import rfc2217_server
from tests.support.fake_clock import FakeClock
from tests.support.rfc2217_server import open_rfc2217_server

IAC, SB, SE = b"\xff", b"\xfa", b"\xf0"


def soon() -> Deadline:
    return Deadline.after(60)


@pytest.fixture
def console():
    with open_console() as console:
        yield console


def wait_mark(console: Console | SerialConsole, name: str) -> None:
    transcript, deadline = console.transcript, Deadline.after(20)
    while True:
        version = transcript.version
        if name in [mark.name for mark in transcript.marks]:
            return
        assert not deadline.expired(), transcript.marks
        transcript.wait_change(version, deadline)


def ask_break(address: tuple[str, int]) -> None:
    with open_serial_console("rfc2217://{}:{}".format(*address)) as port:
        assert port.break_obstacle is None
        port.send_break(Deadline.after(60, FakeClock()))


@pytest.mark.parametrize(
    "url",
    [
        "nope://somewhere",
        "socket://no-port-here",
        "socket://127.0.0.1:1",
        "rfc2217://127.0.0.1:1",
        "rfc2217://",
        "no-such-device",
        "",
    ],
)
def test_port_that_cannot_be_opened_is_named(url):
    with pytest.raises(SpecError) as caught, open_serial_console(url):
        pass
    assert repr(url) in str(caught.value)


def test_device_that_somebody_has_is_refused(console):
    path = str(console.endpoint.path)
    with (
        open_serial_console(path),
        pytest.raises(SpecError, match="can't be opened"),
        open_serial_console(path),
    ):
        pass


def test_pty_says_that_it_carries_no_break(console):
    with open_serial_console(str(console.endpoint.path)) as port:
        assert port.break_obstacle == "a pty carries no BREAK"
        with pytest.raises(StateError, match="a pty carries no BREAK"):
            port.send_break(soon())
        with pytest.raises(StateError, match="a pty carries no BREAK"):
            port.sysrq("h", soon())
        assert port.transcript.typed == ()


def test_socket_says_that_it_carries_no_break():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "socket://{}:{}".format(*server.getsockname())
        with open_serial_console(url) as port:
            for act in (port.send_break, partial(port.sysrq, "h")):
                with pytest.raises(StateError, match="use rfc2217://"):
                    act(soon())


def test_socket_port_ends_with_its_peer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = "socket://{}:{}".format(*server.getsockname())
        with open_serial_console(url) as port:
            peer, _ = server.accept()
            port.write(b"ping", soon())
            assert peer.recv(4) == b"ping"
            peer.sendall(b"pong")
            peer.close()
            wait_mark(port, "far-end-gone")
            assert (port.transcript.read(), port.far_end_gone) == (b"pong", True)


def test_loop_port_gives_back_what_was_typed():
    with open_serial_console("loop://") as port:
        port.write(b"echo", soon())
        while len(port.transcript) < 4:
            port.transcript.wait_change(port.transcript.version, soon())
        assert port.transcript.read() == b"echo"
        assert port.break_obstacle == "this kind of port has no line to hold"


def test_port_is_named_as_asked(console):
    with open_serial_console(str(console.endpoint.path), name="board 3") as port:
        assert port.transcript.name == "board 3"


def test_break_over_rfc2217_becomes_a_call(console):
    calls = []
    with open_rfc2217_server(console, on_break=lambda: calls.append("break")) as address:
        ask_break(address)
        ask_break(address)
    assert calls == ["break", "break"]


def test_break_that_fails_is_marked(console):
    def fail():
        raise ControlError("QMP refused")

    with open_rfc2217_server(console, on_break=fail) as address:
        ask_break(address)
    marks = [(mark.name, mark.detail) for mark in console.transcript.marks if mark.kind is MarkKind.LAB]
    assert marks == [("break-failed", {"reason": "QMP refused"})]


def test_break_that_nobody_takes_is_marked(console):
    with open_rfc2217_server(console) as address:
        ask_break(address)
        wait_mark(console, "break-failed")


def test_rfc2217_port_carries_every_byte_both_ways(console):
    everything = bytes(range(256))
    far = os.open(console.path, os.O_RDWR | os.O_NOCTTY)
    with (
        open_rfc2217_server(console) as address,
        open_serial_console("rfc2217://{}:{}".format(*address)) as port,
    ):
        port.write(everything, soon())
        assert os.read(far, 1000) == everything
        os.write(far, everything)
        while len(port.transcript) < 256:
            port.transcript.wait_change(port.transcript.version, soon())
        assert port.transcript.read() == everything
    os.close(far)


def test_second_client_is_turned_away_and_may_come_later(console):
    with open_rfc2217_server(console) as address:
        with (
            open_serial_console("rfc2217://{}:{}".format(*address)),
            socket.create_connection(address) as second,
        ):
            second.settimeout(60)
            assert second.recv(1) == b""
        wait_mark(console, "left")
        ask_break(address)


def test_server_ends_while_its_client_stalls(console):
    far = os.open(console.path, os.O_RDWR | os.O_NOCTTY)
    with ExitStack() as stack:
        address = stack.enter_context(open_rfc2217_server(console))
        client = stack.enter_context(socket.create_connection(address))
        assert client.recv(1) == IAC
        wait_mark(console, "attached")
        data = bytes(1_000_000)
        for _ in range(8):
            thread = threading.Thread(target=write_all, args=(far, data))
            thread.start()
            thread.join()
        stack.pop_all().close()  # the server goes last
    os.close(far)
    client.close()


def write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@pytest.mark.parametrize(
    "garbage",
    [
        IAC + SE,  # the end of nothing
        IAC + SB + b"\x2c\x01\x00" + IAC + SE,  # a speed of one byte
        IAC + SB + b"\x2c\x04\x63" + IAC + SE,  # 99 stop bits
    ],
)
def test_server_lets_a_client_go_that_sends_garbage(console, garbage):
    with open_rfc2217_server(console) as address:
        with socket.create_connection(address) as client:
            wait_mark(console, "attached")
            client.sendall(garbage)
            wait_mark(console, "left")
        ask_break(address)


def test_server_says_where_it_cannot_listen(console):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
        with pytest.raises(SpecError, match=f"{host}:{port}"):
            open_rfc2217_server(console, host=host, port=port).__enter__()


class _Unsure:
    """A port whose line takes a BREAK and does not confirm it, as an RFC 2217 server may."""

    def __init__(self) -> None:
        self.states: list[bool] = []

    def fileno(self) -> int:
        raise OSError(errno.ENOTSUP, "no descriptor")

    @property
    def break_condition(self) -> bool:
        return self.states[-1]

    @break_condition.setter
    def break_condition(self, held: bool) -> None:
        self.states.append(held)
        if held:
            raise ValueError("remote sent no answer")


class _Interrupted(FakeClock):
    """A clock by which no time passes before Ctrl-C."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt


def test_break_ends_although_its_begin_is_not_confirmed(console):
    port = _Unsure()
    with pytest.raises(ConsoleClosed, match="did not take a BREAK: remote sent no answer"):
        SerialConsole("rfc2217://board", SimpleNamespace(port=port), console).send_break(soon())
    assert port.states == [True, False]


def test_break_ends_whatever_happens_while_it_is_held(console):
    with serial.serial_for_url("loop://") as port, pytest.raises(KeyboardInterrupt):
        SerialConsole("rfc2217://board", SimpleNamespace(port=port), console).send_break(
            Deadline.after(60, _Interrupted())
        )
    assert port.break_condition is False


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", (True, True)),
        ("?dtr=off&rts=off", (False, False)),
        ("?dtr=off", (False, True)),
        ("?rts=off&dtr=on", (True, False)),
    ],
)
def test_dtr_and_rts_reach_an_rfc2217_server_as_asked(console, monkeypatch, settings, expected):
    seen = {}
    for name in ("dtr", "rts"):
        line = property(lambda _, key=name: seen.get(key), lambda _, on, key=name: seen.update({key: on}))
        monkeypatch.setattr(rfc2217_server._Line, name, line)
    with (
        open_rfc2217_server(console) as address,
        open_serial_console("rfc2217://{}:{}".format(*address) + settings),
    ):
        pass
    assert (seen["dtr"], seen["rts"]) == expected


def test_dtr_of_a_plain_connection_is_refused():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(SpecError, match=r"no DTR or RTS; use rfc2217://"),
        open_serial_console("socket://{}:{}?dtr=off".format(*server.getsockname())),
    ):
        pass


def test_port_has_one_identity_under_all_its_names(console, tmp_path):
    path = str(console.endpoint.path)
    (tmp_path / "by-id").symlink_to(path)
    names = [path, str(tmp_path / "by-id"), f"{path}?dtr=off", f"spy://{path}?file=/dev/null"]
    assert len({port_identity(name) for name in names}) == 1
    hosts = ["socket://127.0.0.1:7001", "socket://localhost:7001", "RFC2217://LOCALHOST:7001?timeout=3"]
    assert {port_identity(name) for name in [*hosts, "socket://[::1]:7001"]} == {"tcp 127.0.0.1 7001"}


def test_different_ports_have_different_identities(console, tmp_path):
    with open_console() as other:
        names = [str(console.endpoint.path), str(other.endpoint.path), "loop://", "", "socket://", "/no/such"]
        names += [
            "socket://127.0.0.1:7001",
            "socket://127.0.0.1:7002",
            "socket://192.0.2.1:7001",
            "socket://h:x",
        ]
        assert len({port_identity(name) for name in names}) == len(names)
