"""The ROM on a real QEMU: it passes under TCG, and a ROM that stops anywhere does not."""

import pytest

from emulator.clock import SYSTEM_CLOCK
from emulator.machine.probe import STAGES, rom_image, run_probe
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import MachineType

pytestmark = pytest.mark.qemu
HALT = b"\xf4\xeb\xfd"  # hlt, and again
SPIN = b"\xeb\xfe"  # hlt is not for ring 3


def rom_stopping_after(letter):
    """Return the ROM with an endless loop behind the `out` that writes `letter`."""
    before, says, after = rom_image().partition(b"\xb0" + letter.encode() + b"\xee")
    assert says
    loop = SPIN if letter in {"U", "B"} else HALT
    return before + says + loop + after[len(loop) :]


@pytest.mark.parametrize("machine", list(MachineType))
def test_probe_says_yes_under_tcg(machine):
    verdict = run_probe(find_qemu(), machine=machine, accelerator="tcg", clock=SYSTEM_CLOCK)
    assert verdict.usable, verdict
    assert verdict.stages == "".join(STAGES)


@pytest.mark.parametrize("letter", list(STAGES))
def test_probe_says_no_and_where_when_the_rom_stops(letter):
    verdict = run_probe(
        find_qemu(),
        machine=MachineType.PC,
        accelerator="tcg",
        clock=SYSTEM_CLOCK,
        rom=rom_stopping_after(letter),
    )
    assert not verdict.usable
    assert verdict.stages[-1] == letter
    assert "stuck, killed" in verdict.reason


def test_probe_says_no_when_the_rom_is_empty():
    verdict = run_probe(
        find_qemu(), machine=MachineType.PC, accelerator="tcg", clock=SYSTEM_CLOCK, rom=rom_image(b"")
    )
    assert verdict.stages == ""
    assert "no guest code ran: stuck" in verdict.reason


@pytest.mark.parametrize("machine", list(MachineType))
def test_probe_of_kvm_ends_with_a_verdict_and_a_reason(machine):
    verdict = run_probe(find_qemu(), machine=machine, accelerator="kvm", clock=SYSTEM_CLOCK)
    assert verdict.usable == (verdict.stages == "".join(STAGES))
    assert verdict.reason
