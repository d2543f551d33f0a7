"""Hunts on real guests: one that never fails, one that fails of two causes, a race that only jitter shows."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress

import psutil
import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.console.transcript import load_transcript
from emulator.values import load_json
from harness import cli
from harness.cells.cell import parse_cell_id
from harness.repeat.hunt import make_snapshots, play_hunt
from harness.repeat.plan import SHIFTS, Repetition
from harness.repeat.request import HuntRequest
from harness.repeat.summary import Hunt
from harness.repeat.workers import Job
from harness.report.model import CellResult
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Reach, Run, Send
from harness.scenario.verdict import Status
from harness.snapshots.lab import Lab

pytestmark = pytest.mark.qemu

HELP = "bullseye.pc.seabios.1.sysrq-help"
SHELL = Reach(stage=Stage.SHELL)
COIN = "case $((RANDOM % 2)) in 0) false;; *) echo c > /proc/sysrq-trigger;; esac"
COINS = 16
"""One of the two causes is missing in 3 of 100,000."""


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Keep the ledger of machines to the test."""
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))


def playing(name, *steps):
    return Scenario(name=name, title="t", description="d", steps=steps)


def hunt(tmp_path, scenario, plan, *, jobs=2):
    cell = parse_cell_id(f"bullseye.pc.seabios.1.{scenario.name}")
    what = Hunt(cell=cell.id, seed=1, kinds=frozenset(), planned=len(plan), jobs=jobs)
    request = HuntRequest(cell=cell.id)
    job = Job(cell=cell, scenario=scenario, request=request, hunt=what, run_dir=tmp_path / "hunt")
    assert make_snapshots(job, Lab(run_dir=job.run_dir), (None,)) == ""
    return play_hunt(job, plan)


def machines_left(tmp_path):
    return list((tmp_path / "state" / "machines").glob("*"))


def test_cell_that_always_passes_fails_0_of_n_under_every_kind_of_jitter(tmp_path, capfd):
    run_dir = tmp_path / "run"
    words = ["-n", "8", "-j", "2", "--seed", "1176", "--json", "--run-dir", str(run_dir), "--time-scale", "3"]
    assert cli.main(["repeat", HELP, *words]) == EXIT_PASSED
    told = json.loads(capfd.readouterr().out)
    assert told["counts"] == {"passed": 8, "failed": 0, "broken": 0, "skipped": 0}
    assert (told["probability"]["low"], round(told["probability"]["high"], 3)) == (0.0, 0.324)
    assert {one["icount_shift"] for one in told["repetitions"]} == set(SHIFTS)
    assert {one["load"] for one in told["repetitions"]} == {0, 1, 2}
    assert all(one["start"].startswith("forked from shell ") for one in told["repetitions"])
    assert [path.name for path in run_dir.iterdir()] == ["repeat.json"]
    assert json.loads((run_dir / "repeat.json").read_text()) == told
    assert machines_left(tmp_path) == []


def test_one_repetition_is_had_again_with_what_disturbed_it_in_its_evidence(tmp_path, capfd):
    run_dir = tmp_path / "run"
    words = ["--seed", "3", "--only", "5", "--run-dir", str(run_dir), "--time-scale", "3"]
    assert cli.main(["repeat", HELP, *words]) == EXIT_PASSED
    (one,) = json.loads((run_dir / "repeat.json").read_text())["repetitions"]
    assert one["number"] == 5
    assert one["icount_shift"] is not None
    kept = run_dir / one["directory"]
    result = load_json((kept / "result.json").read_bytes(), CellResult, origin="here")
    assert result.repro == f"ttylab repeat {HELP} --seed 3 --only 5 --time-scale 3"
    assert f"shift={one['icount_shift']},sleep=on" in result.argv
    waits = [mark.detail["seconds"] for mark in load_transcript(kept).marks if mark.name == "delayed"]
    assert waits == list(one["delays"].values())


def test_sac_guest_is_repeated_under_jitter_too(tmp_path, capfd):
    words = ["-n", "4", "-j", "2", "--seed", "1249", "--json", "--run-dir", str(tmp_path / "run")]
    assert (
        cli.main(["repeat", "sac.pc.seabios.1.sac-nmi-ignored", *words, "--time-scale", "3"]) == EXIT_PASSED
    )
    told = json.loads(capfd.readouterr().out)
    assert told["counts"]["passed"] == 4
    assert {one["icount_shift"] for one in told["repetitions"]} == set(SHIFTS)
    assert {one["load"] for one in told["repetitions"]} == {0, 1, 2}


def test_guest_that_fails_at_random_is_found_and_its_causes_are_told_apart(tmp_path):
    scenario = playing("coin", SHELL, Run(command=COIN))
    summary = hunt(tmp_path, scenario, [Repetition(number=number) for number in range(1, COINS + 1)])
    assert (summary.failures.count, summary.failures.of, summary.exit_code) == (COINS, COINS, EXIT_FAILED)
    causes = {group.cause.reason: group for group in summary.groups(Status.FAILED)}
    assert set(causes) == {"command", "died"}
    assert causes["command"].cause.title == f"step 1: run: {COIN}"
    assert "sysrq triggered crash" in causes["died"].cause.title
    assert causes["died"].cause.rule
    assert sum(len(group.endings) for group in causes.values()) == COINS
    for ending in summary.endings:
        kept = tmp_path / "hunt" / ending.directory
        result = load_json((kept / "result.json").read_bytes(), CellResult, origin="here")
        assert (result.status, result.message) == ("failed", ending.message)
        assert load_transcript(kept).truncated is None


def test_guest_that_fails_half_of_the_time_is_told_so(tmp_path):
    scenario = playing("half", SHELL, Run(command="test $((RANDOM % 2)) = 0"))
    summary = hunt(tmp_path, scenario, [Repetition(number=number) for number in range(1, COINS + 1)])
    share = summary.failures
    assert share.of == COINS
    assert 0 < share.count < COINS
    assert len(summary.groups(Status.FAILED)) == 1


def test_race_passes_undisturbed_and_fails_with_a_late_stimulus(tmp_path):
    window = Send(line="touch /tmp/open; (sleep 15; rm /tmp/open) > /dev/null &")
    scenario = playing("race", SHELL, window, Run(command="test -e /tmp/open"), Alive())
    plan = [Repetition(number=number, delays={2: 30.0} if number in {2, 3} else {}) for number in range(1, 7)]
    summary = hunt(tmp_path, scenario, plan)
    (group,) = summary.groups(Status.FAILED)
    assert [one.repetition.number for one in group.endings] == [2, 3]
    assert (summary.failures.count, summary.failures.of) == (2, 6)
    assert group.cause.title == "step 2: run: test -e /tmp/open"


def test_lab_that_breaks_is_counted_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")  # the workers find no QEMU; all that is shared was found before
    cell = parse_cell_id(HELP)
    what = Hunt(cell=cell.id, seed=1, kinds=frozenset(), planned=2, jobs=1)
    request, scenario = HuntRequest(cell=cell.id), playing("sysrq-help", SHELL)
    job = Job(cell=cell, scenario=scenario, request=request, hunt=what, run_dir=tmp_path / "hunt")
    summary = play_hunt(job, [Repetition(number=1), Repetition(number=2, load=1)])
    assert (summary.count(Status.BROKEN), summary.failures, summary.exit_code) == (2, None, EXIT_BROKEN)


# -- ended from outside --------------------------------------------------------------------------


def end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def begun(tmp_path):
    """A hunt at work: its process, with all that it has started: workers, guests, load."""
    temp = tmp_path / "tmp"
    temp.mkdir()
    environment = os.environ | {"TTYLAB_STATE": str(tmp_path / "state"), "TMPDIR": str(temp)}
    words = ["repeat", HELP, "-j", "2", "--run-dir", str(tmp_path / "run"), "--jitter", "load", "--json"]
    with ExitStack() as stack:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness", *words],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        stack.callback(end, process)
        deadline, wanted, children = Deadline.after(120), {"sh", "qemu-system-x86_64"}, []
        while not wanted <= {name for _, name in children}:
            assert not deadline.expired()
            SYSTEM_CLOCK.sleep(0.02)
            children = started_by(process.pid)
        yield process, [child for child, _ in children]


def started_by(pid):
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended since
            found.append((child, child.name()))
    return found


@pytest.mark.parametrize("kill", [os.killpg, os.kill])
def test_interrupt_ends_with_the_statistics_so_far_and_leaves_nothing(tmp_path, begun, kill):
    process, children = begun
    kill(process.pid, signal.SIGINT)  # as a terminal does; as `kill` does
    out, said = process.communicate(timeout=120)
    assert process.returncode == EXIT_INTERRUPTED, said
    assert b"Traceback" not in said
    told = json.loads(out)
    assert told["interrupted"]
    assert told["planned"] == 200
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["repeat.json"]
    assert list((tmp_path / "tmp").iterdir()) == []
    assert machines_left(tmp_path) == []
    assert psutil.wait_procs(children, timeout=120)[1] == []


def test_killed_hunt_leaves_no_process_and_no_machine(tmp_path, begun):
    process, children = begun
    process.kill()
    process.communicate(timeout=120)  # its workers hold its stderr: they have ended too
    assert psutil.wait_procs(children, timeout=120)[1] == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert machines_left(tmp_path) == []
