"""A board of lab.toml with a real guest: switched on and off, joined as it runs, crashed by a BREAK.

Its NMI and reset are those of test_strangers_board.py.
"""

import subprocess
import sys

import pytest

from harness.report.model import load_run
from tests.support.board_rig import open_board_rig
from tests.support.own_lab import environment

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("board")]

MATRIX = """
[matrix]
name = "bench"
description = "a board with power, reset and NMI by commands"

[[block]]
targets = ["bench1"]
scenarios = {scenarios}
"""
SCENARIOS = ["boot-login", "sysrq-crash", "sysrq-sync"]
"""In the order in which they are played: the crash leaves a guest that answers nobody to the last."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def rig(lab, place):
    with open_board_rig(lab, place, words=("sysctl.kernel.sysrq=1",)) as made:
        yield made


def ttylab(place, *words):
    command = [sys.executable, "-P", "-m", "harness.cli", *words]
    return subprocess.run(
        command, cwd=place, env=environment(), timeout=300, capture_output=True, check=False, text=True
    )


def play(place, scenarios):
    """Play scenarios on the board; return how the command ended, and the cells by scenario."""
    (place / "board.toml").write_text(MATRIX.format(scenarios=scenarios))
    run_dir = place / f"run{len(list(place.glob('run*')))}"
    ended = ttylab(place, "run", "board.toml", "--no-allure", f"--run-dir={run_dir}")
    return ended, {one.cell.scenario: one for one in load_run(run_dir).cells}, run_dir


def test_board_is_switched_on_joined_and_crashed_by_a_break_and_switched_on_again(rig, place):
    ended, cells, run_dir = play(place, SCENARIOS)
    told = {name: (one.status, one.message, one.target, one.start) for name, one in cells.items()}
    switched = dict.fromkeys(("boot-login", "sysrq-sync"), ("passed", "", "bench1", "power-cycled"))
    assert told == dict.fromkeys(SCENARIOS, ("passed", "", "bench1", "joined")) | switched, ended.stdout
    assert ended.returncode == 0
    boot = cells["boot-login"]
    assert [one.stage for one in boot.stages] == ["firmware", "kernel", "login", "shell"]
    assert (boot.qemu, boot.argv, boot.image["own"]) == ("", (), "board")
    log = (run_dir / boot.directory / "commands.log").read_text()
    assert [line.split()[1] for line in log.splitlines() if line.startswith("$")] == [
        "power_off:",
        "power_on:",
    ]
    assert "asked for power_on" in log
    page = next((run_dir / "report" / "cells").glob("*boot-login*.html")).read_text()
    assert "asked for power_on" in page
    again = ttylab(place, *cells["sysrq-sync"].repro.split()[1:])
    assert again.returncode == 0, again.stderr
    assert "reproduced: PASSED" in again.stdout
