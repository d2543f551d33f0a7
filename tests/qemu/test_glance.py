"""Screen and CPUs of real machines whose disk nothing boots from, or whose boot sector stops the CPU."""

import pytest

from emulator.clock import Deadline
from emulator.machine.machine import open_machine
from emulator.machine.spec import Disk, Firmware, MachineSpec, MachineType
from harness.play.session import Session
from harness.play.vitals import Vitals, watching
from harness.scenario.errors import ExpectTimeout

pytestmark = pytest.mark.qemu
STOPS = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # cli; hlt; and again


@pytest.mark.parametrize(
    ("sector", "screen", "end"),
    [
        (b"", "'No bootable device.'", "nothing boots from this disk under this firmware"),
        (STOPS, "'Booting from Hard Disk...'", "is halted with interrupts off, and nothing changes that"),
    ],
    ids=["no-loader", "stops"],
)
def test_machine_that_can_not_go_on_is_not_waited_for(lab, tmp_path, sector, screen, end):
    disk = tmp_path / "disk.img"
    disk.write_bytes(sector.ljust(1 << 20, b"\0"))
    disks = (Disk(path=disk, discard_writes=True),)
    spec = MachineSpec(name="silent", machine=MachineType.PC, firmware=Firmware.SEABIOS, disks=disks)
    opened = open_machine(spec, run_dir=tmp_path, qemu=lab.qemu(spec), accelerator=lab.choice(spec))
    with opened as machine:
        vitals = Vitals(machine)
        with pytest.raises(ExpectTimeout) as caught:
            await_login(machine, vitals)
    assert vitals.gone
    assert caught.value.final
    assert f"no byte came on ttyS0, the screen says {screen}" in str(caught.value)
    assert str(caught.value).endswith(end)


def await_login(machine, vitals):
    session = Session(machine.console)
    with watching(session, vitals):
        session.expect(rb"login: ", Deadline.after(600))
