"""--hold-on-failure: the guest of a failed cell stays, is joined and let go; the verdict stays."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.console.transcript import load_transcript
from emulator.machine.ledger import Ledger
from harness.report.model import load_run

pytestmark = pytest.mark.qemu

LAB = '[lab]\nscenarios = ["mine.py"]\n'
MINE = """
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Ask, Reach, Run, Shows

NEVER = Shows(pattern="never\\\\r\\\\n", says="what is never said")
SCENARIOS = (
    scenario("mine-fails", "Fails", "For a test.", Reach(stage=Stage.SHELL), Run(command="false")),
    scenario(
        "mine-sac", "Fails", "For a test.", Reach(stage=Stage.SAC), Ask(command="id", shows=(NEVER,)),
        guest=GuestKind.SAC,
    ),
)
"""
MATRIX = """
[matrix]
name = "held"
description = "for a test"

[[block]]
images = ["bookworm"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["mine-fails", "boot-login"]

[[block]]
images = ["sac"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["mine-sac"]
"""
LINUX, SAC = "bookworm.pc.seabios.1.mine-fails", "sac.pc.seabios.1.mine-sac"
PATIENCE_S = 120


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("TTYLAB_LAB")  # that of the working directory
    monkeypatch.chdir(tmp_path)
    for name, text in (("lab.toml", LAB), ("mine.py", MINE), ("held.toml", MATRIX)):
        Path(name).write_text(text)
    return tmp_path


def ttylab(*words):
    return [sys.executable, "-P", "-m", "harness.cli", *words]


def said(*words, code=0):
    ended = subprocess.run(
        ttylab(*words), check=False, capture_output=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL
    )
    assert ended.returncode == code, ended
    return ended.stdout.decode()


@contextmanager
def running(*words):
    process = subprocess.Popen(
        ttylab(*words), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def listen(process, text):
    """Return the lines up to the one that has `text`."""
    lines = []
    for line in process.stderr:
        lines.append(line.decode().rstrip())
        if text in lines[-1]:
            return lines
    raise AssertionError(lines)


def test_failed_cells_are_held_joined_and_let_go(place):
    run = ("run", "held.toml", "-n", "2", "--hold-on-failure=5", "--run-dir", "kept", "--no-allure")
    with running(*run) as process:
        lines = listen(process, "Enter or Ctrl-C ends all that is held")
        assert f"        ttylab attach {LINUX} --write" in lines
        assert any(line.startswith(f"HELD    {SAC}: held until ") for line in lines)
        assert {one.label for one in Ledger().read()} == {LINUX, SAC}

        result = load_run(Path("kept"))  # the report is there before anybody joins
        held = {cell.cell.scenario: (cell.status, bool(cell.held)) for cell in result.cells}
        wanted = {
            "mine-fails": ("failed", True),
            "boot-login": ("passed", False),
            "mine-sac": ("failed", True),
        }
        assert held == wanted
        assert f"ttylab attach {LINUX} --write" in Path(f"kept/report/cells/{LINUX}.html").read_text()

        assert json.loads(said("qmp", "mine-sac", "query-status"))["running"] is True
        said("qmp", LINUX, "system_reset")
        _await_boot(Path("kept/cells") / LINUX)
        assert said("release", "mine-fails").startswith(LINUX)
        process.send_signal(signal.SIGTERM)  # ends what is still held
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
    assert Ledger().read() == ()
    assert load_run(Path("kept")) == result
    assert not Path("kept/held").exists()


def _await_boot(cell):
    """Await the reset in what is kept of the time by hand, which is not what was judged."""
    deadline = Deadline.after(PATIENCE_S)
    while not any(mark.name == "RESET" for mark in load_transcript(cell / "by-hand").marks):
        assert not deadline.expired()
        SYSTEM_CLOCK.sleep(0.1)
    judged = load_transcript(cell)
    assert (judged.closed, judged.truncated) == ("held", None)
    assert not any("by" in mark.detail for mark in judged.marks)


def test_limit_ends_what_repro_holds(place):
    with running("repro", SAC, "--hold-on-failure=0.02") as process:
        lines = listen(process, "ttylab release")
        assert any("held until" in line for line in lines)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
    assert Ledger().read() == ()


def test_killed_run_leaves_no_guest_behind(place):
    run = ("run", "held.toml", "-n", "1", "-k", "mine-sac", "--hold-on-failure=5", "--no-allure")
    with running(*run) as process:
        listen(process, "Enter or Ctrl-C")
        (entry,) = Ledger().read()
        process.kill()
        deadline = Deadline.after(PATIENCE_S)
        while Path(f"/proc/{entry.pid}").exists():
            assert not deadline.expired()
            SYSTEM_CLOCK.sleep(0.1)
