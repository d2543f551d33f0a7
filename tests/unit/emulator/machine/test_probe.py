import stat
from dataclasses import replace

import pytest

from emulator.machine.architectures import X86_64
from emulator.machine.architectures.x86_64 import ROM_SIZE, rom_image
from emulator.machine.probe import (
    HostIdentity,
    ProbeVerdict,
    cache_key,
    judge_probe,
    read_host_identity,
    recall,
    remember,
)
from emulator.machine.process import Finished
from emulator.machine.spec import MachineType

HOST = HostIdentity(boot_id="b1", cpu_flags="flags: fpu")
VERDICT = ProbeVerdict(usable=False, stages="RP", reason="stuck", seconds=1.0)
NO = "QEMU ended with"
STAGES = X86_64.test.stages


def judged(stdout, exit_code, stderr=b""):
    return judge_probe(Finished(exit_code=exit_code, stdout=stdout, stderr=stderr), seconds=1.0)


def test_judge_says_yes_when_all_stages_ran_and_the_rom_left():
    assert judged(b"RPLXTUSB", 33).usable


@pytest.mark.parametrize(
    ("stdout", "exit_code", "stderr", "reason"),
    [
        (b"", None, b"", "no guest code ran: stuck, killed after 1.0 s"),
        (b"", -6, b"failed to set MSR\nAssertion", f"no guest code ran: {NO} signal 6 (failed to set MSR)"),
        (b"", 1, b"no KVM\x1b", f"no guest code ran: {NO} exit code 1 (no KVM\x1b)"),
        (
            b"RPL",
            None,
            b"",
            "got to long mode with paging, failed before an exception through the IDT: stuck",
        ),
        (b"RPLXT", 0, b"", "got to a timer interrupt, failed before ring 3: the CPU reset itself"),
        (b"RPLXTUSB", None, b"", "all stages ran, but the guest could not leave: stuck"),
        (b"RPLXTUSB", 0, b"", "all stages ran, but the guest could not leave: the CPU reset"),
        (b"RPLXTUS", 33, b"", "got to a syscall, failed before sysret to ring 3"),
        (b"PR", 33, b"", "the guest went astray (stages PR)"),
        (b"RPRP", None, b"", "the guest went astray (stages RPRP)"),
    ],
)
def test_judge_says_no_and_where(stdout, exit_code, stderr, reason):
    verdict = judged(stdout, exit_code, stderr)
    assert not verdict.usable
    assert reason in verdict.reason


@pytest.mark.parametrize("count", range(len(STAGES)))
def test_judge_says_no_for_every_stage_that_is_missing(count):
    verdict = judged("".join(STAGES)[:count].encode(), None)
    assert not verdict.usable
    assert list(STAGES.values())[count] in verdict.reason or count == 0


def test_rom_image_is_64_kib_with_the_code_at_its_end():
    assert len(rom_image()) == ROM_SIZE
    assert rom_image(b"code") == b"\xf4" * (ROM_SIZE - 4) + b"code"


def key_of(host=HOST, *, machine=MachineType.PC, qemu="7.2.22", rom=b"rom"):
    return cache_key(host, machine=machine, qemu=qemu, rom=rom)


def test_cache_key_changes_with_all_that_kvm_hangs_on():
    others = [
        key_of(replace(HOST, boot_id="b2")),
        key_of(replace(HOST, cpu_flags="flags: svm")),
        key_of(machine=MachineType.Q35),
        key_of(qemu="8.0.0"),
        key_of(rom=b"other"),
    ]
    assert len({key_of(), *others}) == 6
    assert key_of() == key_of()


def test_remembered_verdict_is_recalled_and_private(tmp_path):
    remember(tmp_path / "new", VERDICT, key=key_of())
    assert recall(tmp_path / "new", key=key_of()) == VERDICT
    (file,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_recall_is_none_under_another_key(tmp_path):
    remember(tmp_path, VERDICT, key=key_of())
    assert recall(tmp_path, key=key_of(qemu="8.0.0")) is None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff", b"[]", b'{"usable": true}', b'{"usable": 1, "stages": "", "reason": ""}']
)
def test_recall_is_none_when_the_file_is_damaged(tmp_path, damage):
    remember(tmp_path, VERDICT, key=key_of())
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert recall(tmp_path, key=key_of()) is None


def test_remember_leaves_nothing_when_it_fails(tmp_path):
    with pytest.raises(TypeError):
        remember(tmp_path, replace(VERDICT, reason=b"no text"), key=key_of())
    assert not list(tmp_path.iterdir())


def test_host_identity_is_boot_id_and_cpu_flags(tmp_path):
    (tmp_path / "proc/sys/kernel/random").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("b1\n")
    (tmp_path / "proc/cpuinfo").write_text("vendor_id: x\nflags\t: fpu\nflags\t: fpu\n")
    assert read_host_identity(tmp_path) == HostIdentity(boot_id="b1", cpu_flags="flags\t: fpu")
