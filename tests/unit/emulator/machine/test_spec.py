import json
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.disks.formats import DiskFormat
from emulator.errors import SpecError
from emulator.machine.spec import (
    COMMAND_LINE_MAX,
    LOADER_LINE_MAX,
    Accelerator,
    Device,
    Disk,
    DiskBus,
    Firmware,
    MachineSpec,
    MachineType,
    WindowsParts,
)
from emulator.values import json_ready, read_value

KERNEL = Path("/images/vmlinux")
PC = MachineSpec(name="m", machine=MachineType.PC, kernel=KERNEL, initrd=Path("/images/initrd"))
MICROVM = MachineSpec(name="m", machine=MachineType.MICROVM, kernel=KERNEL)
DISK = Disk(path=Path("/images/disk.raw"))


def read_back(table):
    """Return the spec that a run kept as `table`."""
    return read_value(json.loads(json.dumps(table)), MachineSpec, origin="here", whole=True)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": ""}, "name is ''; allowed: 1-64"),
        ({"name": "a,b"}, "name is 'a,b'"),
        ({"name": "x" * 65}, "name is"),
        ({"machine": "pc"}, "machine is 'pc'; allowed: pc q35 microvm"),
        ({"firmware": "uefi"}, "firmware is 'uefi'; allowed: seabios ovmf"),
        ({"accelerator": None}, "accelerator is None; allowed: auto tcg kvm"),
        ({"watchdog_action": "bark"}, "watchdog_action is 'bark'; allowed: reset shutdown"),
        ({"vcpus": 0}, "vcpus is 0; allowed: 1 to 64"),
        ({"vcpus": 65}, "vcpus is 65; allowed: 1 to 64"),
        ({"vcpus": True}, "vcpus is True; allowed: 1 to 64"),
        ({"memory_mib": 63}, "memory_mib is 63; allowed: 64 to 65536"),
        ({"memory_mib": 65537}, "memory_mib is 65537"),
        ({"memory_mib": 256.0}, "memory_mib is 256.0"),
        ({"seed": -1}, "seed is -1; allowed: 0 to"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"icount_shift": 11}, "icount_shift is 11; allowed: 0 to 10"),
        ({"icount_shift": True}, "icount_shift is True; allowed: 0 to 10"),
        ({"icount_shift": 3, "accelerator": Accelerator.KVM}, "icount_shift is 3; allowed: none with kvm"),
        ({"icount_shift": 3, "vcpus": 2}, "icount_shift is 3; allowed: none with 2 vcpus"),
        ({"kernel": Path("vmlinux")}, "kernel is vmlinux; allowed: an absolute path"),
        ({"kernel": "/vmlinux"}, "kernel is '/vmlinux'"),
        ({"initrd": Path("/a\0b")}, "initrd is /a\0b"),
        ({"kernel": None}, "initrd is /images/initrd; allowed: none unless there is a kernel"),
        ({"kernel": None, "initrd": None, "command_line": ("quiet",)}, "command_line is ('quiet',)"),
        ({"kernel": None, "initrd": None, "tell_tsc": True}, "false unless there is a kernel or a disk"),
        ({"command_line": "quiet"}, "command_line is 'quiet'; allowed: a tuple"),
        ({"command_line": ("",)}, "command_line is ('',); allowed: a tuple of non-empty str"),
        ({"command_line": ("a\nb",)}, "without NUL, line feed"),
        ({"command_line": ("a\0b",)}, "without NUL, line feed"),
        ({"command_line": ("é" * 1024,)}, f"{COMMAND_LINE_MAX} bytes"),
        ({"devices": {Device.PVPANIC}}, "allowed: a frozenset of Device"),
        ({"devices": frozenset({"pvpanic"})}, "allowed: a frozenset of Device"),
        ({"disks": (Path("/d"),)}, "allowed: a tuple of Disk"),
        ({"bulk_console": 1}, "bulk_console is 1; allowed: true, false"),
        ({"firmware_on_serial": None}, "firmware_on_serial is None"),
        ({"firmware": Firmware.OVMF, "firmware_on_serial": True}, "firmware_on_serial is True"),
        ({"firmware": Firmware.OVMF, "qboot": True}, "qboot is True; allowed: false unless"),
        ({"kernel": None, "initrd": None, "disks": (Disk(path=Path("/d")),), "qboot": True}, "qboot is True"),
        ({"qboot": 1}, "qboot is 1; allowed: true, false"),
        ({"fw_cfg": (("etc/e820", "x"),)}, "fw_cfg is 'etc/e820'; allowed: names of opt/"),
        ({"fw_cfg": {"opt/a": "b"}}, "fw_cfg is {'opt/a': 'b'}; allowed: a tuple of pairs"),
        ({"fw_cfg": (("opt/a", ""),)}, "allowed: a tuple of pairs of non-empty str"),
        ({"fw_cfg": (("opt/a", "b"), ("opt/a", "c"))}, "allowed: each name once"),
        ({"smbios": (("sku", "x"),)}, "smbios is 'sku'; allowed: manufacturer product"),
        ({"smbios": (("product",),)}, "allowed: a tuple of pairs"),
    ],
)
def test_spec_names_field_value_and_what_is_allowed_when_refused(changes, text):
    with pytest.raises(SpecError) as refused:
        replace(PC, **changes)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kernel": None}, "kernel is None; allowed: a path on microvm"),
        ({"firmware": Firmware.OVMF}, "firmware is ovmf; allowed: seabios on microvm"),
        ({"devices": frozenset({Device.I6300ESB})}, "none on microvm"),
        ({"devices": frozenset({Device.PVPANIC})}, "none on microvm"),
        ({"disks": (DISK,)}, "none on microvm"),
        ({"bulk_console": True}, "false on microvm"),
        ({"firmware_on_serial": True}, "false on microvm"),
        ({"qboot": True}, "qboot is True; allowed: false on microvm"),
    ],
)
def test_spec_refuses_what_a_microvm_lacks(changes, text):
    with pytest.raises(SpecError) as refused:
        replace(MICROVM, **changes)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"path": Path("disk.raw")}, "disk.path is disk.raw"),
        ({"format": "vhd"}, "disk.format is 'vhd'; allowed: raw qcow2"),
        ({"bus": "scsi"}, "disk.bus is 'scsi'; allowed: virtio sata"),
        ({"read_only": "yes"}, "disk.read_only is 'yes'"),
        ({"discard_writes": 0}, "disk.discard_writes is 0"),
        ({"bus": DiskBus.SATA, "read_only": True}, "false on sata"),
    ],
)
def test_disk_names_field_value_and_what_is_allowed_when_refused(changes, text):
    with pytest.raises(SpecError) as refused:
        replace(DISK, **changes)
    assert text in str(refused.value)


VIRT = MachineSpec(name="m", machine=MachineType.VIRT, firmware=Firmware.NONE, kernel=KERNEL)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"firmware": Firmware.SEABIOS}, "firmware is seabios; allowed: none aavmf on virt"),
        ({"kernel": None}, "kernel is None; allowed: a path with firmware none, which starts no disk"),
        ({"generation_id": True}, "generation_id is True; allowed: false on virt"),
        ({"windows": WindowsParts()}, "allowed: none on virt, which is no PC"),
        ({"qboot": True}, "qboot is True; allowed: false unless"),
        ({"disks": (Disk(path=Path("/d"), bus=DiskBus.SATA),)}, "disk.bus is sata; allowed: virtio on virt"),
    ],
)
def test_virt_names_field_value_and_what_is_allowed_when_refused(changes, text):
    with pytest.raises(SpecError) as refused:
        replace(VIRT, **changes)
    assert text in str(refused.value)


def test_virt_has_parts_that_microvm_has_not():
    spec = replace(VIRT, firmware=Firmware.AAVMF, devices=frozenset(Device), disks=(DISK,), bulk_console=True)
    assert spec.architecture.console == "ttyAMA0"


FROM_DISK = MachineSpec(name="m", machine=MachineType.PC, disks=(DISK,))


@pytest.mark.parametrize(
    "word", ["a b", "a'b", 'a="b"', "a\\b", "a*", "a;b", "a$b", "a{b}", "é", "a|b", "a&b"]
)
def test_spec_refuses_a_word_that_a_disks_loader_would_change(word):
    with pytest.raises(SpecError, match="words of A-Z a-z 0-9"):
        replace(FROM_DISK, command_line=("quiet", word))


def test_spec_bounds_what_a_disks_loader_is_handed():
    assert replace(FROM_DISK, command_line=("a", "x" * (LOADER_LINE_MAX - 2)), tell_tsc=True)
    with pytest.raises(SpecError, match="1536 bytes in all where a disk boots"):
        replace(FROM_DISK, command_line=("a", "x" * (LOADER_LINE_MAX - 1)))


def test_spec_takes_commas_and_spaces_in_paths():
    assert replace(PC, kernel=Path("/a, b/vm,linux")).kernel == Path("/a, b/vm,linux")


def test_spec_takes_a_command_line_of_the_greatest_length():
    assert replace(PC, command_line=("x" * COMMAND_LINE_MAX,))


def test_equal_spec_is_read_back_from_json():
    spec = replace(
        PC,
        devices=frozenset(Device),
        disks=(Disk(path=Path("/d,1"), format=DiskFormat.QCOW2, discard_writes=True), DISK),
        command_line=("console=ttyS0", 'dyndbg="file a +p"'),
        seed=2**64 - 1,
        icount_shift=3,
        bulk_console=True,
    )
    assert read_back(json_ready(spec)) == spec


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"machine": "isapc"},
            "'machine' has the value 'isapc': Input should be 'pc', 'q35', 'microvm' or 'virt'",
        ),
        ({"firmware": 3}, "'firmware' has the value 3: Input should be 'seabios', 'ovmf', 'aavmf' or 'none'"),
        ({"kernel": 3}, "'kernel' has the value 3: Input should be a path"),
        ({"kernel": "vmlinux"}, "kernel is vmlinux; allowed: an absolute path"),
        ({"command_line": "quiet"}, "'command_line' has the value 'quiet': Input should be a valid list"),
        ({"devices": ["fan"]}, "'devices.0' has the value 'fan': Input should be 'i6300esb' or 'pvpanic'"),
        ({"disks": [{}]}, "key 'disks.0.path' is missing"),
        ({"disks": [{"path": "/d"}]}, "key 'disks.0.discard_writes' is missing"),
        ({"disks": ["/d"]}, "'disks.0' has the value '/d': Input should be an object"),
        ({"vcpus": "2"}, "'vcpus' has the value '2': Input should be a valid integer"),
        ({"vcpus": True}, "'vcpus' has the value True"),
        ({"tell_tsc": 1}, "'tell_tsc' has the value 1: Input should be a valid boolean"),
        (
            {"colour": "red"},
            "unknown key 'colour' with the value 'red'; allowed: accelerator, args,",
        ),
    ],
)
def test_damaged_spec_names_what_is_wrong(changes, text):
    with pytest.raises(SpecError) as refused:
        read_back(json_ready(PC) | changes)
    assert str(refused.value).startswith("here: ")
    assert text in str(refused.value)


@pytest.mark.parametrize("table", ["", [], None, 5])
def test_what_is_no_spec_is_refused(table):
    with pytest.raises(SpecError, match=r"^here: is .*: Input should be an object$"):
        read_back(table)


@pytest.mark.parametrize("name", MachineSpec.__dataclass_fields__)
def test_spec_that_lacks_a_key_is_refused(name):
    table = json_ready(PC)
    del table[name]
    with pytest.raises(SpecError, match=f"^here: key '{name}' is missing$"):
        read_back(table)


def test_spec_with_bytes_that_are_not_utf8_is_read_back():
    spec = replace(PC, kernel=Path("/images/\udcff"), command_line=("a=\udcfe",))
    assert read_back(json_ready(spec)) == spec
