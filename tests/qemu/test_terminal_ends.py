"""Whatever ends a terminal on a guest: its settings are back, and no QEMU and no file is left."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from emulator.machine.ledger import Ledger

pytestmark = pytest.mark.qemu

PATIENCE_S = 120
WAYS = {  # who gets which signal, and the exit code
    "SIGTERM": ("ttylab", signal.SIGTERM, 130),
    "SIGHUP": ("ttylab", signal.SIGHUP, 130),
    "SIGINT": ("ttylab", signal.SIGINT, 130),
    "QEMU killed": ("qemu", signal.SIGKILL, 3),
    "QEMU ended": ("qemu", signal.SIGTERM, 3),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Keep all that a command leaves in one directory."""
    for name in ("TTYLAB_STATE", "TMPDIR", "XDG_RUNTIME_DIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def left_behind(place) -> list[Path]:
    return [one for one in [*(place / "TMPDIR").iterdir(), *place.rglob("*.sock")] if one.exists()]


class OnTerminal:
    """A command on a terminal whose other end stays open, so that its settings can be read afterwards."""

    def __init__(self, *words: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.cli", *words],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        self.shown = b""

    def await_text(self, text: bytes) -> None:
        while text not in self.shown:
            ready, _, _ = select.select([self.master], [], [], PATIENCE_S)
            assert ready, self.shown
            self.shown += os.read(self.master, 65536)

    def end(self) -> int:
        code = self.process.wait(PATIENCE_S)
        os.set_blocking(self.master, False)
        self.shown += os.read(self.master, 1 << 20)
        return code

    def is_restored(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def run() -> Iterator:
    opened = []

    def start(*words: str) -> OnTerminal:
        opened.append(OnTerminal(*words))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", [("boot", "sac"), ("record-console", "sac", "--into", "kept")])
def test_signal_to_either_ends_it_and_leaves_nothing(place, run, monkeypatch, command, way):
    monkeypatch.chdir(place)
    who, number, code = WAYS[way]
    terminal = run(*command)
    terminal.await_text(b"<machine-info>")
    (entry,) = Ledger().read()
    os.kill(terminal.process.pid if who == "ttylab" else entry.pid, number)
    assert terminal.end() == code, terminal.shown
    assert terminal.is_restored()
    assert not Path(f"/proc/{entry.pid}").exists()
    assert (left_behind(place), Ledger().read()) == ([], ())
    if who == "qemu":
        assert b"QEMU ended unasked: " in terminal.shown
    else:
        assert (
            b"interrupted" if number == signal.SIGINT else f"interrupted by {way}".encode()
        ) in terminal.shown


def test_closed_window_ends_it_and_leaves_nothing(place):
    boot = pexpect.spawn(sys.executable, ["-P", "-m", "harness.cli", "boot", "sac"], timeout=PATIENCE_S)
    boot.expect("<machine-info>")
    (entry,) = Ledger().read()
    os.close(boot.child_fd)
    os.waitpid(boot.pid, 0)
    boot.closed = True
    assert not Path(f"/proc/{entry.pid}").exists()
    assert (left_behind(place), Ledger().read()) == ([], ())


def test_guest_that_switches_itself_off_ends_it(place, run):
    terminal = run("boot", "sac")
    terminal.await_text(b"CMD command is now available")
    os.write(terminal.master, b"shutdown\r")
    assert terminal.end() == 0
    assert b"the guest has switched itself off" in terminal.shown
    assert terminal.is_restored()
    assert (left_behind(place), Ledger().read()) == ([], ())


def test_power_that_was_cut_by_the_menu_can_be_given_again(place, run):
    terminal = run("boot", "sac")
    terminal.await_text(b"<machine-info>")
    os.write(terminal.master, b"\x1do")
    terminal.await_text(b"[ttylab: power off: injected]")
    terminal.shown = b""
    os.write(terminal.master, b"\x1dO")
    terminal.await_text(b"<machine-info>")
    os.write(terminal.master, b"\x1dq")
    assert terminal.end() == 0
