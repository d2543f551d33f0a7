"""Screen and CPUs of a real machine whose disk nothing boots from, and which writes nothing on ttyS0."""

import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.machine.glance import Glance, glance
from emulator.machine.machine import open_machine
from emulator.machine.spec import Disk, Firmware, MachineSpec, MachineType
from harness.play.silence import explain

pytestmark = pytest.mark.qemu


def test_machine_without_a_system_is_seen_to_wait(lab, tmp_path):
    disk, look = tmp_path / "zeros.img", Glance()
    disk.write_bytes(bytes(1 << 20))
    disks = (Disk(path=disk, discard_writes=True),)
    spec = MachineSpec(name="silent", machine=MachineType.PC, firmware=Firmware.SEABIOS, disks=disks)
    deadline = Deadline.after(60)
    opened = open_machine(spec, run_dir=tmp_path, qemu=lab.qemu(spec), accelerator=lab.choice(spec))
    with opened as machine:
        while "No bootable device." not in look.rows and not deadline.expired():
            look = glance(machine, deadline, SYSTEM_CLOCK)
        said = explain(machine.transcript.read(0), look, starts_kernel=False)
    assert look.graphics is None
    assert said.startswith("no byte came on ttyS0, the screen says 'No bootable device.'")
    assert said.endswith("nothing boots from this disk under this firmware")
