"""Crews and hunts on workers without guests: who gets what, who dies, what is left behind."""

import os
import signal
import subprocess
import threading
from itertools import count
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.errors import SpecError
from harness.cells.cell import parse_cell_id
from harness.repeat import hunt as hunt_module
from harness.repeat import workers as workers_module
from harness.repeat.hunt import play_hunt
from harness.repeat.plan import Repetition
from harness.repeat.request import HuntRequest
from harness.repeat.summary import Hunt
from harness.repeat.workers import Job, Workers, busy_words, host_load
from harness.scenario.exit_codes import EXIT_INTERRUPTED
from harness.scenario.verdict import Status
from harness.scenarios import find_scenario
from tests.support import repeat_workers
from tests.support.fake_clock import FakeClock

CELL = parse_cell_id("bullseye.pc.seabios.1.sysrq-help")


def alive(pid):
    return Path(f"/proc/{pid}").exists()


def make_job(run_dir, **options):
    hunt = Hunt(cell=CELL.id, seed=1, kinds=frozenset(), planned=6, jobs=2)
    request = HuntRequest(cell=CELL.id, **options)
    return Job(cell=CELL, scenario=find_scenario("sysrq-help"), request=request, hunt=hunt, run_dir=run_dir)


def repetitions(most):
    return iter([Repetition(number=number) for number in range(1, most + 1)])


def play(target, run_dir, *, most=6, size=2):
    with Workers(job=make_job(run_dir), size=size, target=target) as workers:
        endings = list(workers.play(repetitions(most)))
        pids = [worker.process.pid for worker in workers._workers]
    assert not any(alive(pid) for pid in pids)
    return sorted(endings, key=lambda ending: ending.repetition.number)


def test_crew_plays_every_repetition_once_on_as_many_workers_as_it_has(tmp_path):
    endings = play(repeat_workers.passes, tmp_path)
    assert [one.repetition.number for one in endings] == [1, 2, 3, 4, 5, 6]
    assert len({one.message for one in endings}) == 2


def test_crew_hires_no_more_workers_than_there_is_work(tmp_path):
    assert len(play(repeat_workers.passes, tmp_path, most=1, size=5)) == 1


def test_worker_that_dies_breaks_its_repetition_alone_and_is_replaced(tmp_path):
    endings = play(repeat_workers.dies, tmp_path, size=1)
    broken = endings[repeat_workers.DIES_AT - 1]
    assert [one.status for one in endings].count(Status.PASSED) == 5
    assert (broken.status, broken.message) == (Status.BROKEN, "the worker died: signal 9")
    assert len({one.message for one in endings}) == 3


def test_workers_that_never_begin_break_all_and_end(tmp_path):
    endings = play(repeat_workers.dies_at_once, tmp_path, most=3)
    assert {(one.status, one.cause.title) for one in endings} == {
        (Status.BROKEN, "the worker died: exit code 0")
    }


def test_callers_fault_ends_the_workers(tmp_path):
    with (
        pytest.raises(SpecError, match="no such machine"),
        Workers(job=make_job(tmp_path), size=1, target=repeat_workers.refuses) as workers,
    ):
        list(workers.play(repetitions(3)))


@pytest.fixture
def played_by(monkeypatch):
    def use(target):
        monkeypatch.setattr(hunt_module, "Workers", lambda **words: Workers(**words, target=target))

    return use


def test_interrupt_kills_who_does_not_end_and_leaves_nothing_half_done(tmp_path, monkeypatch, played_by):
    monkeypatch.setattr(workers_module, "CLOSE_S", 0.5)
    played_by(repeat_workers.hangs)

    def interrupt() -> None:
        deadline = Deadline.after(120)
        while not (tmp_path / "begun").exists() and not deadline.expired():
            stop.wait(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    stop = threading.Event()
    thread = threading.Thread(target=interrupt)
    thread.start()
    summary = play_hunt(make_job(tmp_path), repetitions(1))
    thread.join()
    assert (summary.interrupted, summary.endings, summary.exit_code) == (True, (), EXIT_INTERRUPTED)
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]


def test_hunt_ends_with_its_time(tmp_path, played_by):
    played_by(repeat_workers.passes)
    clock = FakeClock()
    summary = play_hunt(
        make_job(tmp_path, seconds=10.0),
        (Repetition(number=number) for number in count(1)),
        on_ending=lambda _ending: clock.advance(3.0),
        clock=clock,
    )
    # Two begin at 0 s; one more after each of the endings at 3, 6 and 9 s.
    assert [one.repetition.number for one in summary.endings] == [1, 2, 3, 4, 5]
    assert summary.duration_s == 15.0
    assert not summary.stopped


def test_hunt_stops_at_a_failure_if_asked_to(tmp_path, played_by):
    played_by(repeat_workers.fails)
    summary = play_hunt(make_job(tmp_path, stop_on_failure=True), repetitions(6))
    assert summary.stopped
    assert len(summary.endings) == 2  # both that had begun


# -- load ----------------------------------------------------------------------------------------


def test_load_is_there_while_it_is_held_and_gone_after():
    with host_load(2) as pids:
        assert len(set(pids)) == 2
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


def test_load_is_gone_after_a_failure_too():
    with pytest.raises(ZeroDivisionError), host_load(1) as pids:
        raise ZeroDivisionError
    assert not any(alive(pid) for pid in pids)


def test_load_dies_with_the_thread_that_made_it():
    made = []

    def leave_it() -> None:
        held = host_load(1)
        pids = held.__enter__()  # nobody leaves it
        deadline = Deadline.after(120)
        while Path(f"/proc/{pids[0]}/comm").read_text() != "sh\n":  # from then on the kernel knows
            assert not deadline.expired()
        made.append((held, pids))

    thread = threading.Thread(target=leave_it)
    thread.start()
    thread.join()
    ((held, pids),) = made
    # Killed, and reaped here: a kill of ours would show as the same, so wait for the kernel's first.
    assert os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT).si_status == signal.SIGKILL
    held.__exit__(None, None, None)


def test_load_whose_parent_has_died_ends_by_itself():
    assert subprocess.run(busy_words(parent=os.getppid()), check=False, timeout=120).returncode == 1


def test_no_load_starts_nothing():
    with host_load(0) as pids:
        assert pids == ()
