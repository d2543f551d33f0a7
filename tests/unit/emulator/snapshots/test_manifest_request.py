"""What names a snapshot: everything that the guest could tell, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.machine.argv import FirmwareFiles, QemuVersion
from emulator.machine.spec import Device, Disk, Firmware, MachineSpec, MachineType
from emulator.snapshots.manifest import Maker, Method, SnapshotRequest, fingerprint

KERNEL, INITRD = Path("/boot/vmlinux"), Path("/boot/initrd")
SPEC = MachineSpec(
    name="bookworm",
    machine=MachineType.PC,
    kernel=KERNEL,
    initrd=INITRD,
    command_line=("console=ttyS0",),
    seed=7,
    tell_tsc=True,
)
REQUEST = SnapshotRequest(spec=SPEC, stage="shell", label="bookworm")
MAKER = Maker(
    qemu_sha256="aa",
    version=QemuVersion(7, 2),
    accelerator="tcg",
    cpu="",
    method=Method.SHARED_RAM,
    firmware=None,
)
HASHES = {KERNEL: "11", INITRD: "22"}


def key(request: SnapshotRequest = REQUEST, maker: Maker = MAKER, **hashes: str) -> str:
    return fingerprint(request, maker, HASHES | {Path("/boot") / name: text for name, text in hashes.items()})


def test_fingerprint_is_the_same_for_every_name_seed_and_label() -> None:
    other = replace(REQUEST, spec=replace(SPEC, name="another", seed=None), label="for people")
    assert key(other) == key()
    assert len(key()) == 32


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, stage="login"),
        replace(REQUEST, host_reads_disks=True),
        replace(REQUEST, spec=replace(SPEC, memory_mib=512)),
        replace(REQUEST, spec=replace(SPEC, vcpus=2)),
        replace(REQUEST, spec=replace(SPEC, machine=MachineType.Q35)),
        replace(REQUEST, spec=replace(SPEC, command_line=("console=ttyS0", "quiet"))),
        replace(REQUEST, spec=replace(SPEC, devices=frozenset({Device.PVPANIC}))),
        replace(REQUEST, spec=replace(SPEC, disks=(Disk(path=Path("/disk")),))),
        replace(REQUEST, spec=replace(SPEC, generation_id=True)),
        replace(REQUEST, spec=replace(SPEC, bulk_console=True)),
        replace(REQUEST, spec=replace(SPEC, smbios=(("uuid", "00000000-0000-0000-0000-000000000001"),))),
    ],
)
def test_fingerprint_differs_where_the_guest_would(other: SnapshotRequest) -> None:
    assert key(other) != key()


@pytest.mark.parametrize(
    "maker",
    [
        replace(MAKER, qemu_sha256="bb"),
        replace(MAKER, version=QemuVersion(10, 0)),
        replace(MAKER, accelerator="kvm"),
        replace(MAKER, cpu="flags: avx"),
        replace(MAKER, method=Method.STREAM),
    ],
)
def test_fingerprint_differs_for_another_maker(maker: Maker) -> None:
    assert key(maker=maker) != key()


def test_fingerprint_differs_where_a_file_does() -> None:
    assert key(vmlinux="12") != key()
    assert key(initrd="12") != key()


def test_request_names_all_files_it_is_made_from() -> None:
    spec = replace(SPEC, disks=(Disk(path=Path("/disk")),), firmware=Firmware.OVMF)
    assert SnapshotRequest(spec=spec, stage="shell", label="x").files == (KERNEL, INITRD, Path("/disk"))
    firmware = FirmwareFiles(code=Path("/code"), vars_template=Path("/vars"))
    request = SnapshotRequest(spec=spec, stage="shell", label="x")
    assert key(request, replace(MAKER, firmware=firmware)) != key()
