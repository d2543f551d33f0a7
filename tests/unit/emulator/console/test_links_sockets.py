"""`console.sock` and `control.sock`: attach, type, ask, and every way to be turned away."""

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator

import pytest

from emulator.clock import Deadline
from emulator.console import links
from emulator.console.links import open_link, request_control
from emulator.console.pump import Console, open_console
from emulator.errors import ConsoleClosed, ControlError, MachineGone, SpecError


def soon() -> Deadline:
    return Deadline.after(60)


def handle(request):
    if request.get("do") == "fail":
        raise MachineGone("QEMU is gone")
    if request.get("do") == "break":
        raise KeyError("bug")
    return {"done": request}


@pytest.fixture
def console(tmp_path) -> Iterator[Console]:
    with open_console(links_dir=tmp_path, on_control=handle) as console:
        far = os.open(console.path, os.O_RDWR | os.O_NOCTTY)
        os.write(far, b"0123456789")
        console.drain(soon())
        console.far = far
        yield console
        os.close(far)


def attach(tmp_path, mode="read", start="start"):
    return open_link(tmp_path / "console.sock", mode=mode, start=start, deadline=soon())


def read_exactly(link: socket.socket, size: int) -> bytes:
    link.settimeout(60)
    data = b""
    while len(data) < size:
        piece = link.recv(size - len(data))
        assert piece, f"the end came after {data!r}"
        data += piece
    return data


def read_until(link: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += read_exactly(link, 1)
    return data


def knock(path, data: bytes) -> dict:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        link.connect(str(path))
        if data:
            link.sendall(data)
        return json.loads(read_until(link, b"\n"))


def test_sockets_are_for_their_owner_alone(console, tmp_path):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path, *tmp_path.iterdir()]}
    assert modes == {tmp_path.name: 0o700, "console.sock": 0o600, "control.sock": 0o600}


@pytest.mark.parametrize(("start", "shown"), [("start", b"0123456789new"), (7, b"789new"), ("end", b"new")])
def test_link_replays_from_where_it_is_asked_and_goes_on(console, tmp_path, start, shown):
    with attach(tmp_path, start=start) as link:
        os.write(console.far, b"new")
        assert read_exactly(link, len(shown)) == shown


def test_link_types_when_it_may(console, tmp_path):
    with attach(tmp_path, mode="write") as link:
        link.sendall(b"root\r")
        assert os.read(console.far, 100) == b"root\r"


def test_link_types_nothing_when_it_only_reads(console, tmp_path):
    with attach(tmp_path) as reader, attach(tmp_path, mode="write") as writer:
        reader.sendall(b"ignored")
        reader.shutdown(socket.SHUT_WR)
        while reader.recv(65536):
            pass
        writer.sendall(b"typed")
        assert os.read(console.far, 100) == b"typed"


def test_link_is_marked_when_it_comes_and_goes(console, tmp_path):
    with attach(tmp_path, mode="write"):
        pass
    while "left" not in [mark.name for mark in console.transcript.marks]:
        console.transcript.wait_change(console.transcript.version, soon())
    assert [(mark.name, mark.detail) for mark in console.transcript.marks] == [
        ("attached", {"may_type": True}),
        ("left", {"may_type": True}),
    ]


def test_stalled_link_slows_nobody_and_loses_nothing(console, tmp_path):
    data = os.urandom(1_000_000)
    with attach(tmp_path, start="end") as stalled, attach(tmp_path, start="end") as quick:
        thread = threading.Thread(target=_write_all, args=(console.far, data))
        thread.start()
        assert read_exactly(quick, len(data)) == data
        thread.join()
        assert read_exactly(stalled, len(data)) == data


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def test_link_ends_when_the_console_does(tmp_path):
    with open_console(links_dir=tmp_path) as console, attach(tmp_path) as link:
        far = os.open(console.path, os.O_RDWR | os.O_NOCTTY)
        os.write(far, b"bye")
        os.close(far)
        console.drain(soon())
        assert read_exactly(link, 3) == b"bye"
        ended = link.dup()
    with ended:
        assert ended.recv(10) == b""


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"\x00\xff garbage\n", "not JSON"),
        (b'{"from": 11}\n', "0 to 10"),
        (b"x" * 70_000, "longer than 65536"),
    ],
)
def test_link_is_refused_with_a_reason(console, tmp_path, first, why):
    assert why in knock(tmp_path / "console.sock", first)["error"]


def test_link_is_refused_when_its_first_line_does_not_come(monkeypatch, tmp_path):
    monkeypatch.setattr(links, "HEADER_S", 0.0)
    with open_console(links_dir=tmp_path):
        assert "no first line" in knock(tmp_path / "console.sock", b"")["error"]


def test_link_client_says_what_was_refused(console, tmp_path):
    with pytest.raises(SpecError, match="0 to 10"), attach(tmp_path, start=11):
        pass


def test_link_client_says_that_nobody_is_there(tmp_path):
    with pytest.raises(ConsoleClosed, match="no machine answers here"), attach(tmp_path):
        pass


def test_console_has_no_more_links_than_it_may(console, tmp_path, monkeypatch):
    monkeypatch.setattr(links, "CLIENTS_MAX", 1)
    with attach(tmp_path) as first:
        assert read_exactly(first, 10) == b"0123456789"
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(tmp_path / "console.sock"))
            waiting.sendall(b'{"from": "start"}\n')
            os.write(console.far, b"!")
            assert read_exactly(first, 1) == b"!"
            first.close()
            assert read_until(waiting, b"!").endswith(b"0123456789!")


def test_links_are_refused_where_another_process_serves(console, tmp_path):
    with pytest.raises(SpecError, match="can't listen here"), open_console(links_dir=tmp_path):
        pass
    assert (tmp_path / "console.sock").exists()


def test_control_answers_what_its_owner_returned(console, tmp_path):
    assert request_control(tmp_path / "control.sock", {"do": "nmi"}, soon()) == {"done": {"do": "nmi"}}


@pytest.mark.parametrize(("do", "why"), [("fail", "QEMU is gone"), ("break", "bug")])
def test_control_says_what_its_owner_raised_and_goes_on(console, tmp_path, do, why):
    with pytest.raises(ControlError, match=why):
        request_control(tmp_path / "control.sock", {"do": do}, soon())
    assert request_control(tmp_path / "control.sock", {}, soon()) == {"done": {}}


@pytest.mark.parametrize("line", [b"\x00garbage\n", b"[]\n", b"x" * 70_000])
def test_control_refuses_garbage_and_goes_on(console, tmp_path, line):
    assert knock(tmp_path / "control.sock", line)["error"]
    assert request_control(tmp_path / "control.sock", {}, soon()) == {"done": {}}


def test_control_may_answer_much(tmp_path):
    with open_console(links_dir=tmp_path, on_control=lambda _: {"schema": "x" * 300_000}):
        answer = request_control(tmp_path / "control.sock", {}, soon())
    assert len(answer["schema"]) == 300_000


def test_control_says_that_nobody_is_there(tmp_path):
    with pytest.raises(ControlError, match="no machine answers here"):
        request_control(tmp_path / "control.sock", {}, soon())


def test_slow_control_does_not_hold_the_console(tmp_path):
    release = threading.Event()
    answers = []
    with open_console(links_dir=tmp_path, on_control=lambda request: {"freed": release.wait(60)}) as console:
        ask = lambda: answers.append(request_control(tmp_path / "control.sock", {}, soon()))  # noqa: E731
        thread = threading.Thread(target=ask)
        thread.start()
        console.write(b"x", soon())
        console.drain(soon())
        release.set()
        thread.join()
    assert answers == [{"freed": True}]
