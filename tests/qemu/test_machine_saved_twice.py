"""A machine that is saved goes on as if nothing had been, and can be saved again."""

import pytest

from emulator.clock import Deadline
from emulator.machine import power
from emulator.machine.argv import RamFile
from emulator.machine.machine import open_machine
from emulator.machine.power import MachineState
from emulator.machine.spec import Disk, MachineSpec, MachineType
from tests.support.boot_sectors import DISK_SIZE, IDLE


def soon():
    return Deadline.after(120)


@pytest.fixture(params=[True, False], ids=["ram is a file", "ram is in the state"])
def machine(request, tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    disk = tmp_path / "boot-sector.img"
    disk.write_bytes((IDLE.ljust(510, b"\0") + b"\x55\xaa").ljust(DISK_SIZE, b"\0"))
    spec = MachineSpec(
        name="sector", machine=MachineType.PC, memory_mib=128, disks=(Disk(path=disk, read_only=True),)
    )
    ram = RamFile(path=tmp_path / "ram", shared=True) if request.param else None
    with open_machine(spec, run_dir=tmp_path / "run", ram=ram) as machine:
        yield machine


def test_machine_runs_on_at_once_after_each_save(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(power, "LOST_GRACE_S", 0.0)  # an answer to an earlier save would be refused at once
    for number in range(4):
        machine.pause(soon())
        machine.write_state(tmp_path / f"{number}.state", soon())
        machine.resume(soon())
        assert machine.state is MachineState.RUNNING
        assert (tmp_path / f"{number}.state").stat().st_size > 1000
