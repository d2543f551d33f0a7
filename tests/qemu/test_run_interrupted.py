"""Ctrl-C in the middle of a run: one clean summary, exit code 130, and nothing left running."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.machine.ledger import Ledger
from harness.report.model import load_run
from harness.scenario.exit_codes import EXIT_INTERRUPTED

pytestmark = pytest.mark.qemu

MATRIX = """
[matrix]
name = "small"
description = "for a test"

[[block]]
images = ["bookworm"]
machines = ["pc", "q35"]
firmwares = ["seabios"]
vcpus = [1, 2]
scenarios = ["boot-login"]
"""


def cli(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "harness.cli", *words]


def running(environment) -> list[dict]:
    listed = subprocess.run(
        cli("attach", "--list", "--json"), env=environment, check=True, capture_output=True, timeout=60
    )
    return [entry for entry in json.loads(listed.stdout) if entry["pid"]]


def end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def to_all(process, number):
    os.killpg(process.pid, number)


def to_it(process, number):
    os.kill(process.pid, number)


@pytest.mark.parametrize(
    ("send", "number"),
    [
        (to_all, signal.SIGINT),  # as a terminal does
        (to_all, signal.SIGHUP),  # a closed window
        (to_it, signal.SIGTERM),  # as CI does
        (to_all, signal.SIGTERM),
    ],
)
def test_interrupt_ends_a_run_cleanly_and_leaves_nothing(tmp_path, send, number):
    environment = os.environ | {"TTYLAB_STATE": str(tmp_path / "state")}
    matrix = tmp_path / "small.toml"
    matrix.write_text(MATRIX)
    run_dir = tmp_path / "run"
    words = cli("run", str(matrix), "-n", "2", "--run-dir", str(run_dir), "--no-allure")
    with ExitStack() as stack:
        process = subprocess.Popen(
            words, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        stack.callback(end, process)
        deadline, ledger = Deadline.after(60), Ledger(tmp_path / "state")
        while len(machines := [entry for entry in ledger.read() if entry.pid]) < 2:
            assert not deadline.expired()
            SYSTEM_CLOCK.sleep(0.02)
        assert len(machines) == 2
        send(process, number)
        _, said = process.communicate(timeout=60)
    lines = said.decode().splitlines()
    assert process.returncode == EXIT_INTERRUPTED, lines
    assert not any("Traceback" in line or "INTERNALERROR" in line for line in lines), lines
    assert lines[-1] == f"report: {run_dir}/report/index.html"
    assert lines[-2].endswith("(interrupted)")
    run = load_run(run_dir)
    assert run.interrupted
    assert len(run.cells) == 4
    assert {cell.status for cell in run.cells} <= {"passed", "skipped", "not-run"}
    assert running(environment) == []
    assert not [entry.pid for entry in machines if Path(f"/proc/{entry.pid}").exists()]
    assert not [entry.id for entry in machines if Path(entry.temp_dir).exists()]
