"""What is held, what is not and why, and that it ends: by release, by time, by the end of the run."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from emulator.clock import SYSTEM_CLOCK
from emulator.console.transcript import Transcript, load_transcript
from emulator.errors import ControlError, SpecError
from emulator.machine.power import MachineState
from harness.run import held
from harness.run.held import BY_HAND, HELD_MOST, Holding, parse_minutes
from tests.support.fake_clock import FakeClock


@pytest.mark.parametrize(("text", "minutes"), [("15", 15.0), ("0.5", 0.5), ("1440", 1440.0)])
def test_minutes(text, minutes):
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize("text", ["0", "-1", "1441", "soon", "nan", "inf", "ci/push.toml"])
def test_what_is_no_number_of_minutes_is_refused(text):
    with pytest.raises(SpecError, match="need minutes, up to 1440"):
        parse_minutes(text)


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    budget = SimpleNamespace(memory_mib=8000)
    monkeypatch.setattr(held, "read_host_budget", lambda: budget)
    return budget


class Cell:
    """A cell's open machine, and whether it was closed."""

    def __init__(self, directory, state=MachineState.RUNNING, fault=None):
        self.directory, self.closed = directory, False
        self.transcript = Transcript(clock=FakeClock())
        self.machine = SimpleNamespace(state=state, transcript=self.transcript, on_release=None)
        self.stack, self.fault = ExitStack(), fault
        self.stack.callback(self.close)

    def close(self):
        self.closed = True
        self.transcript.close("left")
        if self.fault:
            raise self.fault

    def held_by(self, holding, machine=...):
        machine = self.machine if machine is ... else machine
        return holding.hold("sid.pc.seabios.1.nmi", machine, self.directory, self.stack)


@pytest.fixture
def holding(tmp_path):
    one = Holding(tmp_path, minutes=10, is_worker=False)
    yield one
    one.close()
    assert not one.place.exists()


def test_a_held_guest_stays_and_says_how_to_join_it_as_ttylab_was_called(tmp_path, holding, monkeypatch):
    monkeypatch.setenv("TTYLAB_PROGRAM", "./ttylab")
    cell = Cell(tmp_path / "cell")
    says, *joins = cell.held_by(holding)
    assert says.startswith("held until ")
    assert says.endswith(" UTC (10 min)")
    assert {line.split()[0] for line in joins} == {"./ttylab"}
    assert [line.split()[1] for line in joins] == ["attach", "attach", "qmp", "dump", "release"]
    assert all(" sid.pc.seabios.1.nmi" in line for line in joins)
    cell.stack.close()
    assert not cell.closed
    cell.machine.on_release()
    holding.wait(lambda: False)
    assert cell.closed
    assert [mark.name for mark in load_transcript(cell.directory / BY_HAND).marks] == ["held"]


def test_time_ends_it(tmp_path):
    holding, cell = Holding(tmp_path, minutes=1e-6, is_worker=False), Cell(tmp_path / "cell")
    cell.held_by(holding)
    holding.wait(lambda: False)
    assert cell.closed


def test_another_process_of_the_run_ends_it(tmp_path, holding):
    other, cell = Holding(tmp_path, minutes=10, is_worker=False), Cell(tmp_path / "cell")
    cell.held_by(other)
    holding.release()
    other.wait(lambda: False)
    assert cell.closed
    assert Cell(tmp_path / "late").held_by(other)[0].startswith("not held: ")


def test_a_parent_that_has_died_ends_it(tmp_path, monkeypatch):
    holding, cell = Holding(tmp_path, minutes=10, is_worker=True), Cell(tmp_path / "cell")
    cell.held_by(holding)
    monkeypatch.setattr(held.os, "getppid", lambda: 1)
    holding.wait(lambda: False)
    assert cell.closed


@pytest.mark.parametrize("ending", ["interrupted", "Ctrl-C"])
def test_interruption_ends_it(tmp_path, ending):
    class Clock(FakeClock):
        def sleep(self, seconds):
            SYSTEM_CLOCK.sleep(0.01)
            if ending == "Ctrl-C":
                raise KeyboardInterrupt

    holding, cell = Holding(tmp_path, minutes=10, is_worker=False, clock=Clock()), Cell(tmp_path / "cell")
    cell.held_by(holding)
    holding.wait(lambda: ending == "interrupted")
    assert cell.closed


def test_a_machine_that_does_not_end_is_left_to_gc(tmp_path, holding):
    cell = Cell(tmp_path / "cell", fault=ControlError("survived SIGKILL"))
    cell.held_by(holding)
    holding.release()
    holding.wait(lambda: False)
    assert cell.closed


def test_what_cannot_be_held_says_why_and_ends_with_its_cell(tmp_path, holding, memory):
    off = Cell(tmp_path / "off", state=MachineState.OFF)
    assert off.held_by(holding) == ("not held: its machine is off",)
    assert "ttylab attach --port" in off.held_by(holding, machine=None)[0]
    (tmp_path / "file").touch()
    assert Cell(tmp_path / "file").held_by(holding)[0].startswith("not held: ")
    memory.memory_mib = 100
    assert "memory is short" in Cell(tmp_path / "poor").held_by(holding)[0]
    off.stack.close()
    assert off.closed


def test_a_run_holds_only_so_many(tmp_path, holding):
    said = [Cell(tmp_path / str(count)).held_by(holding)[0] for count in range(HELD_MOST + 1)]
    assert [one.startswith("held until") for one in said] == [True] * HELD_MOST + [False]
    assert said[-1].startswith(f"not held: {HELD_MOST} of the run are held already")
