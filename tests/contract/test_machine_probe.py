"""The probe against programs that behave as QEMU does on good and bad hosts."""

from pathlib import Path

import pytest

from emulator.clock import SYSTEM_CLOCK
from emulator.errors import MissingPrerequisite
from emulator.machine.argv import QemuVersion
from emulator.machine.probe import HostIdentity, choose_accelerator, probe_accelerator
from emulator.machine.qemu_binary import QemuBinary
from emulator.machine.spec import Accelerator, MachineType
from tests.support.fake_clock import FakeClock

USABLE = "printf RPLXTUSB; exit 33"
STUCK = "printf RPLX; exit 0"


@pytest.fixture
def qemu(tmp_path):
    def behaving(script):
        path = tmp_path / "qemu"
        path.write_text(f"#!/bin/sh\necho run >>{tmp_path}/runs\n{script}\n")
        path.chmod(0o755)
        return QemuBinary(path=path, version=QemuVersion(7, 2))

    return behaving


@pytest.fixture
def chosen(tmp_path):
    def choose(qemu, requested=Accelerator.AUTO, *, device=Path("/dev/null"), cache_dir=tmp_path / "cache"):
        return choose_accelerator(
            requested,
            qemu=qemu,
            machine=MachineType.PC,
            clock=SYSTEM_CLOCK,
            cache_dir=cache_dir,
            kvm_device=device,
        )

    return choose


@pytest.mark.parametrize("requested", [Accelerator.AUTO, Accelerator.KVM])
def test_kvm_is_chosen_when_guests_run(qemu, chosen, requested):
    choice = chosen(qemu(USABLE), requested)
    assert choice.accelerator == "kvm"
    assert "reached ring 3" in choice.reason


def test_tcg_is_chosen_with_the_reason_when_no_guest_runs(qemu, chosen):
    choice = chosen(qemu(STUCK))
    assert choice.accelerator == "tcg"
    assert "failed before a timer interrupt" in choice.reason


def test_tcg_is_chosen_without_a_probe_when_asked_for(qemu, chosen, tmp_path):
    assert chosen(qemu(USABLE), Accelerator.TCG).accelerator == "tcg"
    assert not (tmp_path / "runs").exists()


def test_kvm_by_name_is_refused_when_no_guest_runs(qemu, chosen):
    with pytest.raises(MissingPrerequisite, match=r"KVM that runs guests \(got to .*use auto or tcg"):
        chosen(qemu(STUCK), Accelerator.KVM)


def test_no_probe_runs_when_the_device_is_absent(qemu, chosen, tmp_path):
    assert "none is absent" in chosen(qemu(USABLE), device=tmp_path / "none").reason
    assert not (tmp_path / "runs").exists()


def test_the_verdict_is_remembered_until_its_file_is_damaged(qemu, chosen, tmp_path):
    program = qemu(USABLE)
    assert chosen(program) == chosen(program)
    assert (tmp_path / "runs").read_text() == "run\n"
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(b"{")
    assert chosen(program).accelerator == "kvm"
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_the_host_is_probed_again_after_its_boot(qemu, tmp_path):
    for boot_id in ("b1", "b2", "b2"):
        probe_accelerator(
            qemu(USABLE),
            machine=MachineType.PC,
            clock=SYSTEM_CLOCK,
            cache_dir=tmp_path / "cache",
            kvm_device=Path("/dev/null"),
            host=HostIdentity(boot_id=boot_id, cpu_flags=""),
        )
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_the_probe_answers_when_its_cache_cannot_be_written(qemu, chosen, tmp_path):
    (tmp_path / "file").touch()
    assert chosen(qemu(USABLE), cache_dir=tmp_path / "file" / "cache").accelerator == "kvm"


def test_a_stuck_guest_is_killed_and_judged_unusable(qemu, tmp_path):
    class Impatient(FakeClock):
        def monotonic(self):
            self.advance(10)
            return super().monotonic()

    verdict = probe_accelerator(
        qemu("exec sleep 60"),
        machine=MachineType.PC,
        clock=Impatient(),
        cache_dir=tmp_path / "cache",
        kvm_device=Path("/dev/null"),
    )
    assert not verdict.usable
    assert "stuck, killed" in verdict.reason
