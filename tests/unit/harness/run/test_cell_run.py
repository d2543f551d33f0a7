"""Cells on a made-up lab: every way to end leaves a result beside the transcript, and none raises."""

from contextlib import contextmanager

import pytest

from emulator.console.transcript import DirectorySink, Transcript
from emulator.errors import FileError, LabError, SpecError
from harness.cells.cell import parse_cell_id
from harness.plugin.matrix_items import raise_for
from harness.plugin.run_recorder import RunRecorder
from harness.run.cell_run import (
    CellRun,
    claim_directory,
    directories_of,
    kept_transcript,
    lost_cell,
    read_result,
)
from harness.run.latest import new_run_id
from harness.run.own_guest import Preparation
from harness.run.result import broken, not_run
from harness.scenario.errors import CellBroken, CellFailed
from harness.scenarios import find_scenario
from harness.survey.first_boot import Attempt
from harness.targets import find_target
from tests.support import fake_lab

CELL = parse_cell_id("bookworm.pc.seabios.1.boot-login")
SCENARIO = find_scenario("boot-login")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_lab.use_fakes(monkeypatch)

    def play(behaviour="pass", **lab):
        fake_lab.BEHAVIOURS.write_text(f'{{"{CELL.id}": "{behaviour}"}}')
        bench = fake_lab.FakeLab(run_dir=tmp_path, clock=fake_lab.CLOCK)
        for name, value in lab.items():
            monkeypatch.setattr(bench, name, value)
        return CellRun(cell=CELL, scenario=SCENARIO, lab=bench).run()

    return play


def test_cell_that_passes_is_kept_with_what_it_ran_on(run, tmp_path):
    result = run()
    assert (result.status, result.accelerator, result.qemu) == ("passed", "tcg", "7.2.22")
    assert result.image["name"] == "bookworm"
    assert read_result(tmp_path, CELL.id) == result
    assert kept_transcript(tmp_path / result.directory).truncated is None
    assert result.evidence
    raise_for(result)


def test_cell_whose_guest_fails_raises_what_allure_calls_failed(run):
    with pytest.raises(CellFailed, match="reproduce: ttylab repro bookworm") as caught:
        raise_for(run("fail"))
    assert isinstance(caught.value, AssertionError)


def test_cell_whose_lab_breaks_raises_what_allure_calls_broken(run):
    result = run("break")
    assert (result.status, result.reason, result.message) == ("broken", "lab", "QEMU did not like it")
    with pytest.raises(CellBroken) as caught:
        raise_for(result)
    assert not isinstance(caught.value, AssertionError)


def test_cell_without_its_image_is_broken(run):
    def missing(name):
        raise LabError(f"image {name} is not built")

    assert run(guest_image=missing).message == "image bookworm is not built"


def test_cell_that_makes_no_machine_is_the_callers_fault(run, tmp_path):
    def wrong(name):
        raise SpecError("no such image")

    with pytest.raises(SpecError):
        run(guest_image=wrong)
    assert read_result(tmp_path, CELL.id) is None


def test_earlier_result_of_the_cell_is_gone_once_it_runs_again(run, tmp_path):
    run()

    def dies(name):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(guest_image=dies)
    assert read_result(tmp_path, CELL.id) is None


def test_lost_cell_is_broken_with_what_its_transcript_tells(run, tmp_path):
    kept = run()
    (tmp_path / kept.directory / "result.json").unlink()
    lost = lost_cell(CELL, SCENARIO, tmp_path / kept.directory, given=broken("killed"), repro="again")
    assert (lost.status, lost.message, lost.console_bytes) == ("broken", "killed", kept.console_bytes)
    assert [step.outcome for step in lost.steps] == ["done"] * len(SCENARIO.steps)


def test_cell_that_never_began_is_lost_without_a_transcript(tmp_path):
    lost = lost_cell(
        CELL, SCENARIO, tmp_path / "cells" / CELL.id, given=not_run("never began"), repro="again"
    )
    assert (lost.status, lost.console_bytes, lost.duration_s) == ("not-run", 0, 0.0)


NODE = f"made.toml::test_cell[{CELL.id}]"


def recorded(tmp_path, **fields):
    recorder = RunRecorder(run_dir=tmp_path, workers=2, version="0", **fields)
    recorder.matrices = (
        type("Made", (), {"name": "made", "cells": (CELL,), "excluded": (), "port_of": lambda *_: ""})(),
    )
    recorder.select([NODE, "test_other.py::test_cell[x]"])
    (cell,) = recorder.result().cells
    return cell


@pytest.mark.parametrize("stopped", ["the run was interrupted", "stopping after 1 failures"])
def test_recorder_has_every_selected_cell_and_why_it_was_not_run(tmp_path, stopped):
    cell = recorded(tmp_path, stopped=stopped)
    assert (cell.cell.id, cell.status, cell.message) == (CELL.id, "not-run", f"not run: {stopped}")
    assert cell.repro.startswith(f"ttylab repro {CELL.id} --run ")


def test_recorder_takes_no_result_that_pytest_did_not_see(run, tmp_path):
    """Whatever the clock said when it was written."""
    assert run().status == "passed"
    cell = recorded(tmp_path)
    assert (cell.status, cell.message) == ("broken", "played: passed; but pytest reported no end of it")


def test_each_play_of_a_cell_has_a_directory_of_its_own(tmp_path):
    names = [claim_directory(tmp_path, CELL.id) for _ in range(11)]
    assert names[:3] == [CELL.id, f"{CELL.id}+2", f"{CELL.id}+3"]
    assert directories_of(tmp_path, CELL.id) == names
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file"):
        claim_directory(tmp_path / "file", CELL.id)


def test_cell_is_played_under_what_disturbs_it_and_says_how_to_do_it_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fake_lab.use_fakes(monkeypatch)
    bench = fake_lab.FakeLab(run_dir=tmp_path, clock=fake_lab.CLOCK)
    specs, opened = [], fake_lab.open_fake_machine
    monkeypatch.setattr(
        fake_lab, "open_fake_machine", lambda spec, **words: specs.append(spec) or opened(spec, **words)
    )
    played = CellRun(
        cell=CELL,
        scenario=SCENARIO,
        lab=bench.at(tmp_path / "17"),
        delays={1: 0.2},
        icount_shift=6,
        repro="x",
    ).run()
    assert (played.status, played.repro, specs[0].icount_shift) == ("passed", "x", 6)
    kept = kept_transcript(tmp_path / "17" / played.directory)
    assert [mark.detail for mark in kept.marks if mark.name == "delayed"] == [{"seconds": 0.2}]
    assert bench.run_dir == tmp_path


class _Shared:
    """A machine that others use for 100 s before it is the cell's."""

    name, is_emulated = "machine", True

    def __init__(self, ends_in: type[Exception] | None = None) -> None:
        self.ends_in = ends_in

    @contextmanager
    def open(self, wanted, place):
        fake_lab.CLOCK.advance(100)
        place.on_turn()
        if self.ends_in is not None:
            raise self.ends_in("another cell has it")
        with find_target().open(wanted, place) as target:
            yield target


@pytest.mark.parametrize(("ends_in", "status"), [(None, "passed"), (LabError, "broken")])
def test_wait_for_what_others_use_is_no_part_of_the_cells_time(tmp_path, monkeypatch, ends_in, status):
    monkeypatch.chdir(tmp_path)
    fake_lab.use_fakes(monkeypatch)
    bench = fake_lab.FakeLab(run_dir=tmp_path, clock=fake_lab.CLOCK)
    result = CellRun(cell=CELL, scenario=SCENARIO, lab=bench, target=_Shared(ends_in)).run()
    assert (result.status, result.duration_s < 100) == (status, True)


def test_two_runs_at_once_have_two_names():
    assert len({new_run_id() for _ in range(50)}) > 1


def test_guest_that_was_silent_at_its_first_boot_fails_with_that_boots_evidence(run, tmp_path, monkeypatch):
    first = tmp_path / "surveys" / "mine-1"
    with Transcript(sink=DirectorySink(first, console="ttyS0")) as transcript:
        transcript.append(b"Booting from Hard Disk\r\n")
    silent = Attempt(image="mine", problem="no login came", silent=True, directory="surveys/mine-1")
    known = Preparation(found={"found": silent.problem}, in_vain=silent)
    monkeypatch.setattr("harness.run.cell_run.prepare", lambda *_: known)
    result = run()
    told = "no login came (so ended its first boot in this run, surveys/mine-1)"
    assert (result.status, result.reason, result.message, result.step) == ("failed", "timeout", told, 0)
    assert result.console_bytes == 24
    assert kept_transcript(tmp_path / result.directory).read() == b"Booting from Hard Disk\r\n"
    assert (result.argv, result.start) == ((), "not booted again")
