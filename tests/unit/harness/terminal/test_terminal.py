"""A terminal on a link: bytes both ways, the menu's acts, read only, and the settings restored."""

import os
import pty
import socket
import termios
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.errors import ConsoleClosed, ControlError
from harness.terminal import terminal
from harness.terminal.terminal import LinkSockets, Terminal, greet, raw_terminal
from tests.support.fake_clock import FakeClock

ESC = b"\x1d"


class Rig:
    """Pipes in place of a terminal, a pipe pair in place of a link, and a control that takes notes."""

    def __init__(self, monkeypatch):
        self.asked, self.answer = [], {"ok": True}
        self.near_end, self.link_end = self.sockets = socket.socketpair()
        self.keyboard, self.typing = os.pipe()
        self.shown, self.showing = os.pipe()
        monkeypatch.setattr(terminal, "open_link", self._open_link)
        monkeypatch.setattr(terminal, "request_control", self._request)
        self.clock = FakeClock()

    @contextmanager
    def _open_link(self, path, *, mode, start, deadline):
        self.opened = (path, mode, start)
        yield self.near_end

    def _request(self, path, request, deadline):
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def run(self, typed: bytes, *, guest: bytes = b"", writable: bool = True, control: bool = True) -> bytes:
        """Type all of it, let the guest write, then let the guest hang up; return what was shown."""
        os.write(self.typing, typed)
        os.close(self.typing)
        self.link_end.sendall(guest)
        links = LinkSockets(console=Path("console.sock"), control=Path("control.sock") if control else None)
        one = Terminal(
            links=links, writable=writable, stdin=self.keyboard, stdout=self.showing, clock=self.clock
        )
        if not typed.endswith(ESC + b"q"):
            self.link_end.shutdown(socket.SHUT_WR)  # the console ends
        one.run()
        os.close(self.showing)
        return os.read(self.shown, 65536)

    def close(self):
        for one in self.sockets:
            one.close()
        os.close(self.keyboard)
        os.close(self.shown)

    def sent(self) -> bytes:
        self.near_end.close()
        return b"".join(iter(lambda: self.link_end.recv(4096), b""))


@pytest.fixture
def rig(monkeypatch):
    made = Rig(monkeypatch)
    yield made
    made.close()


def test_terminal_carries_bytes_both_ways_until_one_quits(rig):
    shown = rig.run(b"ls\r" + ESC + b"q", guest=b"\xff guest")
    assert shown == b"\xff guest"
    assert rig.sent() == b"ls\r"
    assert rig.opened == (Path("console.sock"), "write", "start")


def test_terminal_ends_with_the_console(rig):
    assert rig.run(b"", guest=b"last words") == b"last words"


def test_reader_types_nothing_and_does_nothing(rig):
    shown = rig.run(b"rm -rf /\r" + ESC + b"n" + ESC + b"sc" + ESC + b"?" + ESC + b"q", writable=False)
    assert rig.sent() == b""
    assert rig.asked == []
    assert b"read only" in shown
    assert rig.opened[1] == "read"


def test_menu_acts_through_the_control(rig):
    shown = rig.run(ESC + b"n" + ESC + b"r" + ESC + b"q")
    assert rig.asked == [{"do": "nmi"}, {"do": "reset"}]
    assert b"[ttylab: nmi: injected]" in shown


def test_system_request_is_asked_for_when_what_was_typed_has_arrived(rig):
    shown = rig.run(b"ls\r" + ESC + b"sh" + ESC + b"q")
    assert rig.asked == [{"do": "sysrq", "key": "h"}]
    assert b"[ttylab: sysrq h: injected]" in shown
    assert rig.sent() == b"ls\r"
    assert rig.clock.monotonic() == pytest.approx(0.05)


@pytest.mark.parametrize("answer", [{"ok": False, "error": "it is \x1b[31moff"}, ControlError("it is off")])
def test_refused_act_is_said_and_the_key_is_not_typed(rig, answer):
    rig.answer = answer
    shown = rig.run(ESC + b"sc" + ESC + b"q")
    assert b"[ttylab: sysrq c: it is " in shown
    assert b"\x1b" not in shown
    assert rig.sent() == b""


def test_target_without_control_says_so(rig):
    assert b"this target can't be controlled: nmi" in rig.run(ESC + b"n" + ESC + b"q", control=False)
    assert rig.asked == []


def test_console_that_nobody_serves_is_said(tmp_path):
    links = LinkSockets(console=tmp_path / "console.sock", control=None)
    with pytest.raises(ConsoleClosed):
        Terminal(links=links, writable=False).run()


def test_raw_terminal_restores_the_settings():
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        with raw_terminal(slave):
            assert not termios.tcgetattr(slave)[3] & termios.ECHO
        assert termios.tcgetattr(slave)[3] & termios.ECHO == before[3] & termios.ECHO
    finally:
        os.close(master)
        os.close(slave)


def test_greeting_escapes_what_it_names():
    said = []
    greet("evil \x1b[2J", writable=False, tell=said.append)
    assert "\x1b" not in said[0]
    assert "read only" in said[0]


def open_rig(monkeypatch, **settings):
    rig = Rig(monkeypatch)
    one = Terminal(
        links=LinkSockets(console=Path("console.sock"), control=None),
        writable=True,
        stdin=rig.keyboard,
        stdout=rig.showing,
        **settings,
    )
    return rig, one


def test_terminal_leaves_when_its_time_is_over_or_when_it_is_told(monkeypatch):
    rig, one = open_rig(monkeypatch, stay=Deadline.after(0))
    one.run()
    rig.close()
    asked = []
    rig, one = open_rig(monkeypatch, ended=lambda: asked.append(1) or len(asked) > 1)
    one.run()
    rig.close()
    assert len(asked) == 2


def test_terminal_leaves_after_the_quiet_that_follows_the_end_of_its_input(monkeypatch):
    rig, one = open_rig(monkeypatch, quiet_s=0.01)
    rig.link_end.sendall(b"guest")
    os.close(rig.typing)
    one.run()
    assert os.read(rig.shown, 100) == b"guest"
    rig.close()
