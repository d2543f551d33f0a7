"""--hold-on-failure: the guest of a failed cell or test stays, is joined and let go; the verdict stays."""

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
TESTS = """
import pytest

@pytest.mark.from_state("shell")
def test_machine(guest):
    assert 1 > 2

def test_fork(from_state):
    from_state("shell")
    assert 1 > 3

@pytest.mark.from_state("shell")
def test_passes(guest):
    assert 1 > 0
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
def running(*words, program=(), stream="stderr"):
    """Run ttylab, or another program, and listen to one of its streams."""
    process = subprocess.Popen(
        [*program, *words] if program else ttylab(*words),
        **{stream: subprocess.PIPE},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    process.heard = getattr(process, stream)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def listen(process, text):
    """Return the lines up to the one that has `text`."""
    lines = []
    for line in process.heard:
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
        for file in (f"report/cells/{LINUX}.html", "junit.xml"):
            assert Path("kept", file).read_text().count(f"ttylab attach {LINUX} --write") == 1
        assert lines.count(f"        ttylab attach {LINUX} --write") == 1

        assert json.loads(said("qmp", "mine-sac", "query-status"))["running"] is True
        said("qmp", LINUX, "system_reset")
        _await_boot(Path("kept/cells") / LINUX)
        assert said("release", "mine-fails").startswith(LINUX)
        process.send_signal(signal.SIGTERM)  # ends what is still held
        _, after = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert b"report: " not in after  # that was said before
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


def test_a_hunt_ends_at_its_first_failure_and_holds_that_guest(place):
    with running("repeat", LINUX, "-n", "9", "-j", "1", "--jitter", "none", "--hold-on-failure=5") as process:
        listen(process, f"ttylab release {LINUX}")
        assert json.loads(said("qmp", LINUX, "query-status"))["running"] is True
        assert said("release", LINUX).startswith(LINUX)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
    (hunt,) = Path("results").glob("repeat-*/repeat.json")
    assert json.loads(hunt.read_text())["counts"]["failed"] == 1
    assert Ledger().read() == ()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_guests_of_users_tests_that_fail_are_held(place, workers):
    Path("test_mine.py").write_text(TESTS)
    run = (
        "-p",
        "no:cacheprovider",
        "-n",
        workers,
        "--run-dir",
        "kept",
        "--hold-on-failure=5",
        "test_mine.py",
    )
    with running(*run, program=[sys.executable, "-P", "-m", "pytest"], stream="stdout") as process:
        lines = listen(process, "Enter or Ctrl-C ends all that is held")
        held = {one.id for one in Ledger().read()}
        assert {line.split()[2] for line in lines if "ttylab attach" in line} == held
        assert len([line for line in lines if line.startswith("HELD    test_mine.py::")]) == len(held) == 2
        for one in held:
            said("release", one)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
    cells = load_run(Path("kept")).cells
    assert sorted(bool(one.held) for one in cells) == [False, True, True]
    assert all(load_transcript(Path("kept") / one.directory).closed == "held" for one in cells if one.held)
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
