import struct

import pytest

from emulator.machine.architectures import (
    ARCHITECTURES,
    ARM64,
    UNKNOWN,
    X86_64,
    architecture_among,
    architecture_for,
    architecture_of,
    architecture_with,
    board_of,
    feature_of,
)
from emulator.machine.architectures.parts import Firmware, MachineType, make_reseed_program
from emulator.machine.control import Capability


@pytest.mark.parametrize("version", [(7, 2), (9, 2)])
def test_cpu_of_x86_lacks_cx16_before_qemu_10(version):
    assert X86_64.cpu(version, "tcg") == "qemu64,-svm,-cx16"


def test_cpu_of_x86_has_cx16_from_qemu_10_on():
    assert X86_64.cpu((10, 0), "tcg") == "qemu64,-svm"


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.name)
def test_cpu_is_the_hosts_under_kvm(architecture):
    assert architecture.cpu((7, 2), "kvm") == "host"


def test_every_board_and_firmware_belongs_to_one_architecture():
    boards = [board.machine for one in ARCHITECTURES for board in one.boards]
    assert sorted(boards) == sorted(MachineType)
    assert set(Firmware) == ARM64.firmwares | X86_64.firmwares
    assert not ARM64.firmwares & X86_64.firmwares
    assert [architecture_of(machine) for machine in ("pc", "microvm", "virt")] == [X86_64, X86_64, ARM64]
    assert [architecture_with(one) for one in Firmware] == [None, X86_64, ARM64, None]


def test_what_a_board_lacks_is_a_capability_with_a_reason():
    for machine in MachineType:
        for firmware in board_of(machine).firmwares:
            for name, why in board_of(machine).lacking(firmware).items():
                assert Capability(name)
                assert why


def test_power_button_of_virt_needs_uefi():
    virt = board_of(MachineType.VIRT)
    assert "power_button" in virt.lacking(Firmware.NONE)
    assert "power_button" not in virt.lacking(Firmware.AAVMF)
    assert "inject-nmi is refused" in virt.lacking(Firmware.AAVMF)["nmi"]


def test_a_kernel_is_started_by_the_architecture_that_it_names_or_by_none():
    assert [architecture_for(name) for name in ("x86_64", "i686", "aarch64")] == [X86_64, X86_64, ARM64]
    assert architecture_for("riscv64") is None


def test_features_name_every_architecture_but_the_first_and_say_what_nobody_knows():
    for one in ARCHITECTURES:
        assert architecture_among({"spin"} | feature_of(one)) is one
    assert architecture_among(feature_of(None)) is None
    assert feature_of(X86_64) == frozenset()
    assert feature_of(None) == {UNKNOWN}


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.name)
def test_reseed_program_is_an_elf_for_its_machine_and_finds_its_path(architecture):
    program = make_reseed_program(architecture.code)
    kind, machine = struct.unpack_from("<HH", program, 16)
    (size,) = struct.unpack_from("<Q", program, 64 + 32)
    assert (program[:6], kind, machine, size) == (
        b"\x7fELF\x02\x01",
        2,
        architecture.code.elf_machine,
        len(program),
    )
    assert program[64 + 56 + len(architecture.code.reseed) :] == b"/dev/urandom\0"


def test_path_of_reseed_programs_is_where_their_code_looks():
    (displacement,) = struct.unpack_from("<i", X86_64.code.reseed, 5 + 3)
    assert 5 + 7 + displacement == len(X86_64.code.reseed)
    (adr,) = struct.unpack_from("<I", ARM64.code.reseed, 4)
    assert 4 + ((adr >> 5) & 0x7FFFF) * 4 == len(ARM64.code.reseed)


@pytest.mark.parametrize("loops", [1, 0x12345678, 20_000_000])
def test_loop_of_arm64_counts_from_its_number(loops):
    low, high = struct.unpack_from("<II", ARM64.test.loop(loops))
    assert (low >> 5 & 0xFFFF) | (high >> 5 & 0xFFFF) << 16 == loops
