"""What screen and CPUs of a machine tell, from what QEMU says of them."""

from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.errors import ControlError
from emulator.machine.glance import Glance, glance, read_cpus, text_rows
from tests.support.fake_clock import FakeClock

SCREEN = b"".join(bytes([character, 7]) for character in b"SeaBIOS".ljust(160) + b"vm login: _".ljust(1840))


def cpu(number: int, at: str, halted: int, flags: str = "00000246") -> str:
    return (
        f"\r\nCPU#{number}\r\nRAX=00 RBX=00\r\nR8 =0 RIP={at} RFL={flags} [---Z-P-] CPL=0 II=0 A20=1 SMM=0 "
        f"HLT={halted}\r\nES =0000\r\n"
    )


OFF = "00000002"
FOR_EVER = " with interrupts off, and nothing changes that"
IDLE = cpu(0, "ffffffff81", 1)


class Machine:
    """What `glance` uses of a machine."""

    def __init__(self, run_dir, size=(720, 400), registers=IDLE):
        self.run_dir, self.size, self.registers = run_dir, size, registers

    def screendump(self, path, deadline):
        if self.size is None:
            raise ControlError("there is no screen")
        width, height = (number.to_bytes(4, "big") for number in self.size)
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width + height)

    def query(self, command, arguments, *, deadline):
        if command == "human-monitor-command":
            return self.registers
        Path(arguments["filename"]).write_bytes(SCREEN)
        return {}


def look(machine) -> Glance:
    clock = FakeClock()
    return glance(machine, Deadline.after(10, clock), clock)


def test_rows_of_text_without_empty_ones():
    assert text_rows(SCREEN) == ("SeaBIOS", "vm login: _")
    assert text_rows(b"") == ()


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ([], ("", False)),
        (["PC=ffff8000 X0=0"], ("", False)),
        ([cpu(0, "fff1", 1), cpu(0, "fff2", 1)], ("is halted and waits", False)),
        ([cpu(0, "fff1", 0), cpu(0, "fff1", 0)], ("loops at fff1", False)),
        ([cpu(0, "fff1", 0), cpu(0, "fff2", 0)], ("works", False)),
        ([cpu(0, "a", 1) + cpu(1, "b", 0)] * 3, ("loops at b", False)),
        ([cpu(0, "a", 1), cpu(0, "a", 0)], ("works", False)),
        ([cpu(0, "a", 1, OFF)] * 2, (f"is halted{FOR_EVER}", True)),
        ([cpu(0, "a", 0, OFF)] * 2, (f"loops at a{FOR_EVER}", True)),
        ([cpu(0, "a", 1, OFF) + cpu(1, "b", 0, OFF)] * 2, (f"loops at b{FOR_EVER}", True)),
        ([cpu(0, "a", 1, OFF) + cpu(1, "b", 1)] * 2, ("is halted and waits", False)),
        ([cpu(0, "a", 0, OFF) + cpu(1, f"b{n}", 0, OFF) for n in (1, 2)], ("loops at a", False)),
    ],
)
def test_cpus_that_wait_or_loop(samples, found):
    assert read_cpus(samples) == found


def test_screen_of_text_is_read_and_leaves_no_file(tmp_path):
    assert look(Machine(tmp_path)) == Glance(rows=("SeaBIOS", "vm login: _"), cpu="is halted and waits")
    assert list(tmp_path.iterdir()) == []


def test_picture_is_kept(tmp_path):
    assert look(Machine(tmp_path, size=(1280, 800))) == Glance(
        graphics=(1280, 800), cpu="is halted and waits"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["screen.png"]


def test_machine_without_a_screen_has_none(tmp_path):
    assert look(Machine(tmp_path, size=None)) == Glance(cpu="is halted and waits")
