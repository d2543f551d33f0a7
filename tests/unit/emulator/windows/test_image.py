"""A machine for Windows: its parts, its words for QEMU, and what it must not claim to be."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from emulator.disks.formats import DiskFormat
from emulator.errors import FileError, SpecError
from emulator.machine.architectures import board_of
from emulator.machine.argv import WINDOWS_CPUS, FirmwareFiles, QemuVersion, Wiring, build_argv, sata_place
from emulator.machine.spec import Disk, DiskBus, Firmware, MachineSpec, MachineType, WindowsParts
from emulator.sac.profile import IDENTITY
from emulator.values import json_ready, read_value
from emulator.windows.image import FileIdentity, Level, WindowsImage, ensure_spcr, spcr_table, windows_spec

IMAGE = WindowsImage(
    name="ws",
    level=Level.DISK,
    path=Path("/disks/ws.vhdx"),
    disk_format="vhdx",
    identity=FileIdentity(size=1, mtime_ns=2, ends_sha256="3"),
    release="2022",
    firmware=Firmware.OVMF,
)
OVMF = FirmwareFiles(code=Path("/fw/CODE.fd"), vars_template=Path("/fw/VARS.fd"))


def argv_of(spec, *, accelerator="tcg", **wiring):
    uefi = spec.firmware is Firmware.OVMF
    given = {"com2_file": Path("/run/com2.log"), "firmware_file": Path("/run/fw.log")} | wiring
    given |= {"vars_file": Path("/run/vars") if uefi else None}
    wired = Wiring(console_path=Path("/dev/pts/1"), qmp_fd=5, **given)
    return build_argv(
        spec,
        qemu="qemu",
        accelerator=accelerator,
        wiring=wired,
        version=QemuVersion(7, 2),
        firmware=OVMF if uefi else None,
    )


def value_of(argv, option):
    return [value for name, value in pairwise(argv) if name == option]


def test_disk_is_booted_with_spcr_com2_and_a_network_card_that_leads_nowhere(tmp_path):
    spec = windows_spec(IMAGE, root=tmp_path)
    argv = argv_of(spec)
    assert value_of(argv, "-serial") == ["chardev:ttyS0", "chardev:com2"]
    assert value_of(argv, "-acpitable") == [f"file={ensure_spcr(tmp_path)}"]
    assert "if=none,id=disk0,format=vhdx,file=/disks/ws.vhdx,snapshot=on,cache.no-flush=on" in argv
    assert "ide-hd,bus=ide.0,unit=0,drive=disk0,bootindex=1" in argv
    assert value_of(argv, "-netdev") == ["user,id=net0,restrict=on"]
    assert "e1000e,netdev=net0,romfile=" in argv
    assert not value_of(argv, "-tpmdev")


def test_media_are_the_only_thing_to_boot_from(tmp_path):
    iso = replace(IMAGE, level=Level.ISO, path=Path("/isos/pe.iso"), disk_format=None)
    spec = windows_spec(iso, root=tmp_path)
    assert spec.disks == ()
    assert "ide-cd,bus=ide.0,unit=0,drive=cd0,bootindex=1" in argv_of(spec)


def test_disks_come_before_cds_and_each_has_a_place_of_its_own(tmp_path):
    disk = Disk(path=Path("/d"), format=DiskFormat.QCOW2, bus=DiskBus.SATA)
    parts = WindowsParts(cdroms=(Path("/a,b.iso"), Path("/c.iso")))
    for machine, places in (
        (MachineType.Q35, ["ide.0,unit=0", "ide.1,unit=0", "ide.2,unit=0"]),
        (MachineType.PC, ["ide.0,unit=0", "ide.0,unit=1", "ide.1,unit=0"]),
    ):
        argv = argv_of(MachineSpec(name="m", machine=machine, disks=(disk,), windows=parts))
        devices = [word for word in argv if word.startswith("ide-")]
        assert [word.split("bus=")[1].rsplit(",drive", 1)[0] for word in devices] == places
        assert [word[-1] for word in devices] == ["1", "2", "3"]
        assert any(word.endswith("file=/a,,b.iso") for word in argv)


def test_enlightenments_are_for_kvm_alone(tmp_path):
    spec = windows_spec(IMAGE, root=tmp_path)
    assert value_of(argv_of(spec), "-cpu") == [WINDOWS_CPUS["tcg"]]
    assert value_of(argv_of(spec, accelerator="kvm"), "-cpu") == [WINDOWS_CPUS["kvm"]]


def test_tpm_is_there_when_it_is_asked_for(tmp_path):
    spec = windows_spec(replace(IMAGE, tpm=True), root=tmp_path)
    argv = argv_of(spec, tpm_fd=9)
    assert "socket,id=tpm,fd=9" in argv
    assert "tpm-crb,tpmdev=tpm0" in argv


@pytest.mark.parametrize(
    ("tpm", "wiring", "text"),
    [
        (False, {"com2_file": None}, "wiring.com2_file: missing"),
        (False, {"firmware_file": None}, "wiring.firmware_file: missing"),
        (True, {}, "wiring.tpm_fd: missing"),
        (False, {"tpm_fd": 9}, "wiring.tpm_fd: given"),
    ],
)
def test_wiring_must_be_what_the_parts_need(tmp_path, tpm, wiring, text):
    spec = windows_spec(replace(IMAGE, tpm=tpm), root=tmp_path)
    with pytest.raises(SpecError, match=text):
        argv_of(spec, **wiring)


def test_spec_survives_json_and_never_claims_to_be_the_sac_guest(tmp_path):
    spec = windows_spec(replace(IMAGE, tpm=True), root=tmp_path, uuid="12345678-9abc-def0-1122-334455667788")
    kept = json.dumps(json_ready(spec))
    assert read_value(json.loads(kept), MachineSpec, origin="here", whole=True) == spec
    assert IDENTITY not in kept
    assert [key for key, _ in spec.smbios] == ["uuid"]


@pytest.mark.parametrize(
    ("windows", "text"),
    [
        ({}, "key 'windows.tpm' is missing"),
        ([], "'windows' has the value []: Input should be an object"),
        ({"cdroms": [], "acpi_tables": [], "tpm": "yes"}, "'windows.tpm' has the value 'yes'"),
        ({"cdroms": "x", "acpi_tables": [], "tpm": True}, "'windows.cdroms' has the value 'x'"),
        ({"cdroms": ["x"], "acpi_tables": [], "tpm": True}, "allowed: a tuple of absolute paths"),
    ],
)
def test_damaged_json_is_refused(tmp_path, windows, text):
    table = json_ready(windows_spec(IMAGE, root=tmp_path)) | {"windows": windows}
    with pytest.raises(SpecError) as caught:
        read_value(table, MachineSpec, origin="here", whole=True)
    assert text in str(caught.value)


def test_machine_that_can_not_be_is_refused(tmp_path):
    with pytest.raises(SpecError, match="machine is microvm; allowed: pc q35"):
        windows_spec(IMAGE, machine=MachineType.MICROVM, root=tmp_path)
    with pytest.raises(SpecError, match="allowed: none on microvm"):
        MachineSpec(name="m", machine=MachineType.MICROVM, kernel=Path("/k"), windows=WindowsParts())
    with pytest.raises(SpecError, match="allowed: none, or WindowsParts"):
        MachineSpec(name="m", machine=MachineType.PC, windows=True)
    isos = tuple(Path(f"/{number}.iso") for number in range(5))
    with pytest.raises(SpecError, match="4 on sata"):
        MachineSpec(name="m", machine=MachineType.Q35, windows=WindowsParts(cdroms=isos))


def test_places_of_sata_devices():
    assert [sata_place(board_of(MachineType.PC), number) for number in (0, 3)] == [
        "bus=ide.0,unit=0",
        "bus=ide.1,unit=1",
    ]


def test_spcr_is_80_bytes_for_com1_and_sums_to_zero(tmp_path):
    table = spcr_table()
    assert (table[:4], len(table), table[4], sum(table) % 256) == (b"SPCR", 80, 80, 0)
    assert table[40:52] == bytes.fromhex("01080001f803000000000000")
    assert (table[53], table[58], table[62]) == (4, 7, 2)  # IRQ 4, 115200, VT-UTF8
    assert ensure_spcr(tmp_path).read_bytes() == table


def test_spcr_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="can't be written"):
        ensure_spcr(tmp_path / "file/below")
