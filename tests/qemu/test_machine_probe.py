"""The ROM on a real QEMU: it passes under TCG, and a ROM that stops anywhere does not."""

import pytest

from emulator.clock import SYSTEM_CLOCK
from emulator.machine.architectures import X86_64, architecture_of
from emulator.machine.architectures.x86_64 import rom_image
from emulator.machine.probe import BOUND_S, run_probe
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import MachineType

pytestmark = pytest.mark.qemu
STAGES = X86_64.test.stages
AMPLE_S = 60.0  # for QEMU to start on a host that is busy; none of these waits for it to pass
LEAVE = b"\xb0\x10\xe6\xf4"  # mov $16, %al; out %al, $0xf4: exit code 33, in any mode
SPIN = b"\xeb\xfe"


def rom_with(code, *, after):
    """Return the ROM with `code` behind the `out` that writes the letter `after`."""
    before, says, rest = rom_image().partition(b"\xb0" + after.encode() + b"\xee")
    assert says
    return before + says + code + rest[len(code) :]


def probed(machine, *, rom=None, bound_s=AMPLE_S, accelerator="tcg"):
    return run_probe(
        find_qemu(architecture=architecture_of(machine)),
        machine=machine,
        accelerator=accelerator,
        clock=SYSTEM_CLOCK,
        rom=rom,
        bound_s=bound_s,
    )


@pytest.mark.parametrize("machine", list(MachineType))
def test_probe_says_yes_under_tcg(machine):
    verdict = probed(machine)
    assert verdict.usable, verdict
    assert verdict.stages == "".join(architecture_of(machine).test.stages)


@pytest.mark.parametrize("letter", list(STAGES)[:-1])
def test_probe_says_no_and_where_when_the_rom_ends_after_a_stage(letter):
    verdict = probed(MachineType.PC, rom=rom_with(LEAVE, after=letter))
    assert not verdict.usable
    assert verdict.stages[-1] == letter
    assert f"got to {STAGES[letter]}, failed before" in verdict.reason


@pytest.mark.parametrize("letter", list(STAGES))
def test_probe_says_no_when_the_rom_hangs_after_a_stage(letter):
    verdict = probed(MachineType.PC, rom=rom_with(SPIN, after=letter), bound_s=0.5)
    assert not verdict.usable
    assert "".join(STAGES).startswith(verdict.stages)
    assert "stuck, killed" in verdict.reason


def test_probe_says_no_when_the_rom_is_empty():
    verdict = probed(MachineType.PC, rom=rom_image(b""), bound_s=0.5)
    assert verdict.stages == ""
    assert "no guest code ran: stuck" in verdict.reason


@pytest.mark.parametrize("machine", list(MachineType))
def test_probe_of_kvm_ends_with_a_verdict_and_a_reason(machine):
    verdict = probed(machine, accelerator="kvm", bound_s=BOUND_S)
    assert verdict.usable == (verdict.reason == architecture_of(machine).test.achieved)
    assert verdict.reason
