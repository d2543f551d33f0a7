"""Cells go on from states, and where they can't they boot, pass all the same, and say why."""

import json
import os
import shutil
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest

from emulator.machine.qemu_binary import QemuBinary, find_qemu
from emulator.machine.run_dir import ARGV_FILE
from emulator.machine.spec import MachineSpec
from emulator.snapshots.snapshot import Snapshot
from emulator.snapshots.store import SnapshotStore
from harness.cells.cell import parse_cell_id
from harness.report.model import CellResult, write_cell
from harness.run.cell_run import CellRun
from harness.run.repro import differences, recorded_spec
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab

pytestmark = pytest.mark.qemu
CELL = parse_cell_id("sac.q35.seabios.1.sac-nmi-prompt")
DUMP = parse_cell_id("sac.q35.seabios.1.sac-dump-nmi")


class Bench(Lab):
    """A lab with a cache and perhaps a QEMU of its own."""

    script = ""

    def qemu(self, spec: MachineSpec) -> QemuBinary:
        return self.program

    @cached_property
    def program(self) -> QemuBinary:
        real = find_qemu()
        if not self.script:
            return real
        program = self.run_dir / "qemu"
        program.write_text(f"#!/bin/sh\n{self.script.replace('QEMU', str(real.path))}\n")
        program.chmod(0o700)
        return replace(real, path=program)

    def snapshots(self, spec: MachineSpec) -> SnapshotStore:
        return self.store

    @cached_property
    def store(self) -> SnapshotStore:
        return SnapshotStore(root=self.run_dir / "states", qemu=self.program)


def play(lab: Lab, cell=CELL) -> CellResult:
    result = CellRun(cell=cell, scenario=find_scenario(cell.scenario), lab=lab).run()
    assert result.status == "passed", result.message
    return result


def test_cell_goes_on_from_a_state_and_says_what_it_shares(tmp_path: Path) -> None:
    lab = Bench(run_dir=tmp_path)
    first, second = play(lab), play(lab)
    assert first.start == second.start
    assert first.start.startswith("forked from cmd ")
    assert any(fact.startswith("clock: ") for fact in second.shares)
    assert "-incoming" in second.argv
    assert [stage.stage for stage in second.stages][:2] == ["firmware", "kernel"]
    write_cell(second, tmp_path)


def test_cell_that_was_forked_is_reproduced_as_the_machine_that_was_asked_for(tmp_path: Path) -> None:
    from harness.run.wanted import guest_spec  # noqa: PLC0415

    lab = Bench(run_dir=tmp_path)
    result = play(lab)
    image = lab.guest_image(CELL.image)
    now = guest_spec(CELL, find_scenario(CELL.scenario), image)
    assert differences(result, recorded_spec(tmp_path / result.directory), image=image, now=now) == []
    kept = json.loads((tmp_path / result.directory / ARGV_FILE).read_text())
    assert kept["state"] is not None


def test_cell_whose_disk_the_host_reads_goes_on_with_a_copy(tmp_path: Path) -> None:
    assert play(Bench(run_dir=tmp_path), DUMP).start.startswith("forked from ")


def test_cell_boots_where_it_is_told_to(tmp_path: Path) -> None:
    lab = Bench(run_dir=tmp_path, cold=True)
    assert play(lab).start == "booted"
    assert not (tmp_path / "states").exists()


def test_cell_boots_where_no_state_can_be_saved_and_says_why(tmp_path: Path) -> None:
    lab = Bench(run_dir=tmp_path)
    lab.script = 'exec QEMU "$@" -device nvme,serial=1'
    result = play(lab)
    assert result.start.startswith("booted: no snapshot at cmd: ")
    assert "nvme" in result.start
    assert result.shares == ()


def test_cell_says_that_its_state_was_damaged_and_made_anew(tmp_path: Path) -> None:
    play(Bench(run_dir=tmp_path))
    (ram,) = (tmp_path / "states").glob("*/ram")
    os.truncate(ram, 4096)
    start = play(Bench(run_dir=tmp_path)).start
    assert start.startswith("forked from cmd ")
    assert "(made anew: " in start
    assert "ram: 4096 bytes, need" in start


def test_state_that_is_pruned_before_it_is_used_is_a_reason_to_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Snapshot.fork

    def pruned(self, **choice):
        shutil.rmtree(self.directory)
        return plain(self, **choice)

    monkeypatch.setattr(Snapshot, "fork", pruned)
    assert play(Bench(run_dir=tmp_path)).start.startswith("booted: no snapshot at cmd: ")


def test_cell_boots_where_its_state_can_not_be_loaded_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Snapshot.fork

    def spoiled(self, **choice):
        spec, origin = plain(self, **choice)
        path = tmp_path / "spoiled"
        data = bytearray(origin.vm_state.read_bytes())
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        path.write_bytes(data)
        return spec, replace(origin, vm_state=path)

    monkeypatch.setattr(Snapshot, "fork", spoiled)
    result = play(Bench(run_dir=tmp_path))
    assert result.start.startswith("booted: snapshot ")
    assert "can't be loaded" in result.start
