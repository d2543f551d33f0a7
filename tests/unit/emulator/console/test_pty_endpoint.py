"""The endpoint: users who come, change modes, leave, and are noticed."""

import os
import select
import subprocess
import sys
import termios
import tty

from emulator.clock import Deadline
from emulator.console import pty_endpoint
from emulator.console.marks import MarkKind
from emulator.console.pty_endpoint import OpensWatch
from emulator.console.pump import Console, open_console


def soon() -> Deadline:
    return Deadline.after(60)


def open_tty(path) -> int:
    return os.open(path, os.O_RDWR | os.O_NOCTTY)


def read_some(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        assert select.select([descriptor], [], [], 60)[0], f"only {data!r} came"
        data += os.read(descriptor, size - len(data))
    return data


def wait_mark(console: Console, name: str, *, count: int = 1) -> None:
    transcript, deadline = console.transcript, soon()
    while True:
        version = transcript.version
        if [mark.name for mark in transcript.marks if mark.kind is MarkKind.LINK].count(name) >= count:
            return
        assert not deadline.expired(), transcript.marks
        transcript.wait_change(version, deadline)


def show(console: Console, text: bytes) -> None:
    far = open_tty(console.path)
    os.write(far, text)
    console.drain(soon())
    os.close(far)


def test_endpoint_shows_the_console_from_its_first_byte():
    with open_console() as console:
        show(console, b"booted long ago")
        user = open_tty(console.endpoint.path)
        assert read_some(user, 15) == b"booted long ago"
        os.close(user)


def test_endpoint_is_raw_again_when_its_user_left_it_cooked():
    with open_console() as console:
        user = open_tty(console.endpoint.path)
        attributes = termios.tcgetattr(user)
        attributes[tty.LFLAG] |= termios.ECHO | termios.ICANON
        attributes[tty.OFLAG] |= termios.OPOST
        termios.tcsetattr(user, termios.TCSANOW, attributes)
        os.close(user)
        wait_mark(console, "endpoint-closed")
        show(console, b"prompt\n")
        user = open_tty(console.endpoint.path)
        assert read_some(user, 7) == b"prompt\n"
        os.close(user)
        console.drain(soon())
        assert console.transcript.typed == ()  # an echo would be typed to the guest


def test_endpoint_outlives_a_user_who_leads_a_session():
    code = "import os, sys; os.read(os.open(sys.argv[1], os.O_RDWR), 5)"
    with open_console() as console:
        show(console, b"hello, ")
        argv = [sys.executable, "-S", "-c", code, console.endpoint.path]
        subprocess.run(argv, start_new_session=True, check=True, timeout=60)
        wait_mark(console, "endpoint-closed")
        show(console, b"still here")
        user = open_tty(console.endpoint.path)
        seen = read_some(user, 10)
        os.write(user, b"typed")
        far = open_tty(console.path)
        assert read_some(far, 5) == b"typed"
        os.close(far)
        os.close(user)
    assert seen in b"hello, still here"  # what its user had not read may be gone with the hang-up


def test_endpoint_stays_with_a_second_user_when_the_first_leaves():
    with open_console() as console:
        first, second = open_tty(console.endpoint.path), open_tty(console.endpoint.path)
        wait_mark(console, "endpoint-opened")
        os.close(first)
        show(console, b"for the second")
        assert read_some(second, 14) == b"for the second"
        os.close(second)
        wait_mark(console, "endpoint-closed")
        again = open_tty(console.endpoint.path)
        show(console, b"back")
        assert read_some(again, 4) == b"back"
        os.close(again)
        wait_mark(console, "endpoint-closed", count=2)
    assert [mark.name for mark in console.transcript.marks] == ["endpoint-opened", "endpoint-closed"] * 2


def test_endpoint_is_written_to_when_the_kernel_cannot_tell_who_opens_it(monkeypatch):
    def refuse(path):
        raise OSError

    monkeypatch.setattr(pty_endpoint, "OpensWatch", refuse)
    with open_console() as console:
        show(console, b"anybody?")
        user = open_tty(console.endpoint.path)
        assert read_some(user, 8) == b"anybody?"
        os.close(user)
    assert console.transcript.marks == ()


def test_watch_tells_openings_and_closings_in_order(tmp_path):
    (tmp_path / "file").touch()
    watch = OpensWatch(tmp_path / "file")
    assert watch.read() == []
    with (tmp_path / "file").open():
        pass
    assert watch.read() == [1, -1]
    watch.close()
