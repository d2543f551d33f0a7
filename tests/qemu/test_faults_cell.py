"""A cell on a lab that breaks: verdict, reason, what stays; the guests are boot sectors or no kernels."""

import os
import signal
from dataclasses import replace
from functools import cached_property

import pytest

from emulator.clock import Deadline
from emulator.errors import ImageError, LabError, MissingPrerequisite
from emulator.machine.ledger import Ledger, list_machines
from emulator.machine.machine import open_machine
from emulator.machine.qemu_binary import find_uefi
from emulator.machine.spec import Accelerator, Disk, Firmware, MachineSpec, MachineType
from harness.cells.cell import Cell
from harness.play.session import Session
from harness.run.cell_run import CellRun, read_result
from harness.scenario.scenario import Scenario
from harness.scenario.steps import Expect, Inject, Shows, Signals, Silence
from harness.scenario.stimulus import Nmi
from harness.snapshots.lab import Lab
from tests.support.linux_images import linux_image

pytestmark = pytest.mark.qemu

IDLE = bytes.fromhex("fa f4 eb fd")  # cli; hlt; jmp
FLOOD = bytes.fromhex(
    "ba fd 03 ec a8 20 74 fb ba f8 03 b0 78 ee eb f0"
)  # COM1: wait until it is free, send "x"
CELL = Cell(image="sector", machine=MachineType.PC, firmware=Firmware.SEABIOS, vcpus=1, scenario="fault")
WORD = Shows(pattern="never[.]", says="a word that never comes")


def playing(*steps):
    return Scenario(name="fault", title="t", description="d", steps=steps)


WAIT = playing(Expect(effects=(WORD,), within_s=300))


class Bench(Lab):
    """A lab with one image, whose files are no kernels."""

    fault: Exception | None = None

    def guest_image(self, name):
        if self.fault is not None:
            raise self.fault
        for file in ("bzimage", "vmlinux", "initrd"):
            (self.run_dir / file).write_bytes(b"no kernel" * 100)
        return linux_image(name, sha256={"vmlinux": "00"}, directory=self.run_dir)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    (tmp_path / "run").mkdir()
    return Bench(run_dir=tmp_path / "run", accelerator=Accelerator.TCG)


@pytest.fixture
def sector(tmp_path, monkeypatch):
    """Make every cell boot a boot sector instead of its image."""

    def boot(code):
        path = tmp_path / "sector.img"
        path.write_bytes((code.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0"))
        disks = (Disk(path=path, read_only=True),)
        spec = MachineSpec(name="sector", machine=MachineType.PC, memory_mib=128, disks=disks)
        monkeypatch.setattr("harness.run.wanted.guest_spec", lambda *_: spec)

    return boot


def run(bench, scenario, *, at_step=lambda: None, cell=CELL):
    result = CellRun(cell=cell, scenario=scenario, lab=bench, on_step=lambda *_: at_step()).run()
    assert list_machines() == ()
    assert Ledger().read() == ()
    assert read_result(bench.run_dir, cell.id) == result
    return result


def signal_qemu(number):
    (entry,) = list_machines()
    os.kill(entry.pid, number)


def test_cell_is_broken_at_once_when_qemu_is_killed_in_a_wait(bench, sector):
    sector(IDLE)
    result = run(bench, WAIT, at_step=lambda: signal_qemu(signal.SIGKILL))
    assert (result.status, result.reason) == ("broken", "lab")
    assert "killed by signal 9" in result.message
    assert result.duration_s < WAIT.steps[0].within_s  # it did not wait for the deadline


ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("awaited", [WORD, Signals(name="SHUTDOWN", says="the machine shuts down")])
def test_cell_is_broken_at_once_when_somebody_else_ends_qemu(bench, sector, number, awaited):
    sector(IDLE)
    scenario = playing(Expect(effects=(awaited,), within_s=300, allows=frozenset({"shutdown", "off"})))
    result = run(bench, scenario, at_step=lambda: signal_qemu(number))
    assert (result.status, result.reason) == ("broken", "lab")
    assert "host-signal" in result.message
    assert result.duration_s < 300


@pytest.mark.parametrize("step", [WAIT.steps[0], Silence(for_s=200, within_s=300)])
def test_cell_is_broken_at_once_when_qemu_is_stopped_in_a_wait(bench, sector, step):
    sector(IDLE)
    result = run(bench, playing(step), at_step=lambda: signal_qemu(signal.SIGSTOP))
    assert (result.status, result.reason) == ("broken", "lab")
    assert "is stopped (state T)" in result.message
    assert result.duration_s < step.within_s


@pytest.fixture
def opened(sector, bench):
    """A machine that idles, and a session on its console."""
    sector(IDLE)
    disks = (Disk(path=bench.run_dir.parent / "sector.img", read_only=True),)
    spec = MachineSpec(name="sector", machine=MachineType.PC, memory_mib=128, disks=disks)
    with open_machine(spec, run_dir=bench.run_dir / "opened") as machine:
        yield machine, Session(machine.console)


def test_wait_ends_when_somebody_else_pauses_the_guest(opened):
    machine, session = opened
    machine.query("stop", deadline=Deadline.after(20))
    with pytest.raises(LabError, match="QEMU stopped the guest: somebody asked it to"):
        session.expect(rb"never", Deadline.after(300))


def test_pause_that_the_lab_makes_is_no_fault(opened):
    machine, session = opened
    machine.pause(Deadline.after(20))
    machine.resume(Deadline.after(20))
    session.wait_mark(frozenset({"RESUME"}), Deadline.after(20), since=0)
    session.check()


def test_cell_is_broken_within_its_bound_when_qemu_is_stopped(bench, sector):
    sector(IDLE)
    inject = Inject(stimulus=Nmi(), effects=(WORD,), within_s=1)
    result = run(bench, playing(inject), at_step=lambda: signal_qemu(signal.SIGSTOP))
    assert result.status == "broken"
    assert "QMP did not answer 'inject-nmi'" in result.message
    assert "is stopped (state T)" in result.message


def test_cell_is_failed_at_its_deadline_when_the_guest_is_silent(bench, sector):
    sector(IDLE)
    result = run(bench, playing(Expect(effects=(WORD,), within_s=0.3)))
    assert result.status == "failed"
    assert "awaited 'never[.]', which did not come in 0.3 s" in result.message
    assert result.console_bytes == 0


def test_cell_is_broken_when_qemu_refuses_to_start(bench):
    result = run(bench, replace(WAIT, name="boot-login"), cell=replace(CELL, scenario="boot-login"))
    assert result.status == "broken"
    assert "QEMU refused to start (exit 1)" in result.message
    assert "argv: " in result.message


def test_machine_of_the_lab_that_does_not_start_is_named(bench, monkeypatch, tmp_path):
    (tmp_path / "lab.toml").write_text('[machines.bad]\nbase = "pc"\nargs = ["-device", "no-such-device"]\n')
    monkeypatch.setenv("TTYLAB_LAB", str(tmp_path / "lab.toml"))
    result = run(
        bench, replace(WAIT, name="boot-login"), cell=replace(CELL, machine="bad", scenario="boot-login")
    )
    assert result.status == "broken"
    assert result.message.startswith("machine bad of lab.toml: QEMU refused to start (exit 1): ")
    assert "no-such-device" in result.message


def test_cell_is_broken_with_what_mends_it_when_the_firmware_is_missing(bench, monkeypatch, tmp_path):
    monkeypatch.setitem(find_uefi.__kwdefaults__, "root", tmp_path)
    result = run(bench, WAIT, cell=replace(CELL, firmware=Firmware.OVMF))
    assert result.status == "broken"
    assert result.message == ("OVMF (OVMF_CODE_4M.fd and OVMF_VARS_4M.fd) is missing; apt-get install ovmf")


def test_cell_is_broken_before_it_boots_when_its_image_is_damaged(bench):
    bench.fault = ImageError("image sector is damaged: initrd has sha256 0, built with 1")
    result = run(bench, WAIT)
    assert (result.status, result.message) == ("broken", str(bench.fault))
    assert not (bench.run_dir / result.directory / "argv.json").exists()


def test_cell_is_broken_when_there_is_no_qemu(tmp_path, bench):
    class NoQemu(Bench):
        @cached_property
        def qemu(self):
            raise MissingPrerequisite("qemu-system-x86_64", remedy="apt-get install qemu-system-x86")

    result = run(NoQemu(run_dir=bench.run_dir), WAIT)
    assert (result.status, result.argv) == ("broken", ())
    assert "apt-get install qemu-system-x86" in result.message


def test_cell_is_broken_as_truncated_when_the_disk_is_full(bench, sector):
    sector(FLOOD)
    directory = bench.run_dir / "cells" / CELL.id
    directory.mkdir(parents=True)
    (directory / "console.bin").symlink_to("/dev/full")
    result = run(bench, playing(Expect(effects=(Shows(pattern="xxx", says="x"),), within_s=60)))
    assert result.status == "broken"
    assert "No space left on device" in result.message
    assert [path.name for path in directory.iterdir() if path.suffix in {".tmp", ".new", ".part"}] == []
