"""What a user's disk is for, by its table and by the loaders on it."""

import struct
from pathlib import Path

import pytest

from emulator.disks.qemu_img import HEAD_BYTES
from emulator.errors import SpecError
from emulator.guest_images.own import own_features
from emulator.guest_images.own_disk import disk_architecture, open_disk
from emulator.lab_file.tables import ImageTable
from emulator.machine.architectures import ARM64, X86_64
from emulator.machine.spec import Board, DiskBus, Firmware, MachineType
from tests.support.disk_heads import BIOS_BOOT, EFI, LINUX, gpt

ARM_LOADER, PC_LOADER = b"BOOTAA64EFI", b"BOOTX64 EFI"


def put_disk(tmp_path, loader, *, kinds=(EFI, LINUX), at=5 << 20):
    head = gpt(*kinds)
    struct.pack_into("<Q", head, 1024 + 128 * kinds.index(EFI) + 32, HEAD_BYTES // 512)
    path = tmp_path / "disk.raw"
    with path.open("wb") as disk:
        disk.write(head)
        disk.seek(HEAD_BYTES + at)
        disk.write(loader)
        disk.truncate(96 << 20)
    return path


@pytest.mark.parametrize("at", [5 << 20, 40 << 20])
@pytest.mark.parametrize(
    ("loader", "architecture"), [(ARM_LOADER, ARM64), (PC_LOADER, X86_64), (b"", X86_64)]
)
def test_disk_is_for_what_the_loaders_on_it_are_for(tmp_path, loader, architecture, at):
    table = ImageTable(disk=put_disk(tmp_path, loader, at=at))
    assert disk_architecture(table) is architecture


def test_disk_of_arm64_boots_under_uefi_on_virtio_and_nowhere_else(tmp_path):
    image = open_disk("server", ImageTable(disk=put_disk(tmp_path, ARM_LOADER)))
    assert image.usual_board == Board(machine=MachineType.VIRT, firmware=Firmware.AAVMF)
    assert "aarch64" in image.features
    spec = image.spec(image.usual_board)
    assert (spec.disks[0].bus, spec.generation_id) == (DiskBus.VIRTIO, False)
    with pytest.raises(SpecError, match="machine is q35, which is x86_64; allowed: virt for server"):
        image.spec(Board(machine=MachineType.Q35, firmware=Firmware.OVMF))


def test_disk_that_a_bios_starts_is_for_a_pc_whatever_lies_on_it(tmp_path):
    disk = put_disk(tmp_path, ARM_LOADER, kinds=(BIOS_BOOT, EFI))
    assert disk_architecture(ImageTable(disk=disk)) is X86_64


@pytest.mark.parametrize(
    ("fields", "architecture"),
    [
        ({"machine": "virt"}, ARM64),
        ({"firmware": "aavmf"}, ARM64),
        ({"machine": "q35"}, X86_64),
        ({"firmware": "ovmf"}, X86_64),
        ({"machine": "of-a-lab"}, X86_64),
    ],
)
def test_table_decides_what_a_disk_is_for(tmp_path, fields, architecture):
    assert disk_architecture(ImageTable(disk=put_disk(tmp_path, b""), **fields)) is architecture


def test_missing_disk_is_told_when_it_is_opened_not_when_it_is_listed():
    table = ImageTable(disk=Path("/nowhere/disk.raw"))
    assert disk_architecture(table) is X86_64
    with pytest.raises(SpecError, match="No such file"):
        open_disk("gone", table)


def test_features_of_users_images_tell_their_architecture_by_the_head_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "Image").write_bytes(bytes(0x38) + b"ARMd")
    (tmp_path / "bzImage").write_bytes(bytes(0x202) + b"HdrS")
    (tmp_path / "riscv").write_bytes(b"\x7fELF\2\1".ljust(18, b"\0") + b"\xf3\0")
    put_disk(tmp_path, ARM_LOADER)
    kernels = "".join(
        f'[images.{one.lower()}]\nkernel = "{one}"\n' for one in ("Image", "bzImage", "riscv", "none")
    )
    (tmp_path / "lab.toml").write_text(f'{kernels}[images.server]\ndisk = "disk.raw"\n')
    monkeypatch.setenv("TTYLAB_LAB", str(tmp_path / "lab.toml"))
    assert own_features() == {
        "image": {"own", "aarch64"},
        "bzimage": {"own"},
        "riscv": {"own", "of-unknown-architecture"},
        "none": {"own", "of-unknown-architecture"},
        "server": {"own", "aarch64"},
    }
