"""`ttylab boot` at a real terminal: the escape menu, a second terminal that looks on, and nothing left."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pexpect
import pytest

pytestmark = pytest.mark.qemu

PATIENCE_S = 120
ESCAPE = "\x1d"


def command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "harness.cli", *words]


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"TTYLAB_STATE": str(tmp_path / "state")}


@pytest.fixture
def spawn(environment) -> Iterator[Callable[..., pexpect.spawn]]:
    with ExitStack() as stack:

        def open_terminal(*words: str) -> pexpect.spawn:
            program, *rest = command(*words)
            terminal = pexpect.spawn(program, rest, env=environment, timeout=PATIENCE_S, maxread=65536)
            stack.callback(terminal.close)
            return terminal

        yield open_terminal


def running(environment) -> list[dict]:
    listed = subprocess.run(
        command("attach", "--list", "--json"), env=environment, check=True, capture_output=True, timeout=60
    )
    return json.loads(listed.stdout)


def test_escape_menu_reaches_the_guest_and_leaves_nothing_behind(environment, spawn):
    boot = spawn("boot", "bookworm")
    boot.expect(r"boot bookworm under \w+; Ctrl-\] \? for the menu, Ctrl-\] q to leave")
    boot.expect("login: ")
    (entry,) = running(environment)
    assert entry["label"] == "boot bookworm"
    assert Path(f"/proc/{entry['pid']}").exists()

    reader = spawn("attach", "boot")
    reader.expect("read only")
    reader.expect("Linux version ")  # replayed from the first byte
    reader.expect("login: ")
    reader.send("intruder\r")

    boot.send("root\r")
    boot.expect("Password: ")
    boot.send("ttylab\r")
    boot.expect(r"root@bookworm:~# ")
    reader.expect(r"root\r\n")
    assert b"intruder" not in reader.before
    reader.expect(r"root@bookworm:~# ")
    reader.send(ESCAPE + "?")
    reader.expect("read only; attach with --write to type")
    reader.send(ESCAPE + "q")
    reader.expect(pexpect.EOF)
    reader.close()
    assert reader.exitstatus == 0

    boot.send(ESCAPE + "?")
    boot.expect("n  inject an NMI")
    boot.send(ESCAPE + "n")
    boot.expect([r"NMI received for unknown reason", r"\[ttylab: nmi: injected\]"])
    boot.expect([r"Dazed and confused", r"\[ttylab: nmi: injected\]"])
    boot.send(ESCAPE + "s")
    boot.send("h")
    boot.expect(r"sysrq: HELP : loglevel\(0-9\) ")
    boot.send(ESCAPE + "q")
    boot.expect(pexpect.EOF)
    boot.close()
    assert boot.exitstatus == 0
    assert not Path(f"/proc/{entry['pid']}").exists()
    assert running(environment) == []


def test_attach_says_what_runs_where_nothing_fits(environment):
    ended = subprocess.run(
        command("attach", "nobody"), env=environment, check=False, capture_output=True, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr.decode() == "ttylab: error: no running machine fits 'nobody'; running: none\n"


def test_sac_guest_boots_from_its_menu_takes_an_nmi_and_comes_back(environment, spawn):
    boot = spawn("boot", "sac", "--machine", "q35", "--append", "menu_timeout_s=2")
    boot.expect("Windows Boot Manager")
    boot.send("\r")
    boot.expect("SAC>")
    boot.send("id\r")
    boot.expect("Computer Name: WIN-TTYLAB")
    boot.send(ESCAPE + "n")
    boot.expect("NMI_HARDWARE_FAILURE")
    boot.expect("Windows Boot Manager")
    boot.send(ESCAPE + "q")
    boot.expect(pexpect.EOF)
    boot.close()
    assert boot.exitstatus == 0
    assert running(environment) == []
