"""From a plan to a machine."""

from pathlib import Path

import pytest

from emulator.cloud.guest_plan import SAC_IMAGE, GuestPlan
from emulator.cloud.resource_id import instance_id, vm_id
from emulator.errors import SpecError
from emulator.fleet.guest_spec import HOST_NAME_MAX, host_name_of, spec_of
from emulator.images import Image
from emulator.machine.spec import Device, Firmware, MachineType

PLAN = GuestPlan()
WINDOWS = GuestPlan(stands_in_for="Windows")
SAC = GuestPlan(image=SAC_IMAGE, stands_in_for="Windows")


def image(disk: Path | None = None) -> Image:
    root = Path("/images/bookworm")
    return Image(
        name="bookworm",
        suite="bookworm",
        flavour="cloud",
        kernel_version="6.1",
        kernel_release="6.1",
        bzimage=root / "bzimage",
        vmlinux=root / "vmlinux",
        initrd=root / "initrd",
        sha256={},
        packages=(),
        modules=frozenset(),
        directory=root,
        disk=disk,
    )


@pytest.mark.parametrize(
    ("name", "plan", "host"),
    [
        ("linux1", PLAN, "linux1"),
        ("win1", WINDOWS, "win1-linux-stand-in"),
        ("win1", SAC, "win1"),
        ("my_vm (old)".replace(" ", ""), PLAN, "my-vm-old"),
        ("_", PLAN, "guest"),
        ("-a.", PLAN, "a"),
        ("x" * 90, PLAN, "x" * HOST_NAME_MAX),
        ("x" * 90, WINDOWS, "x" * 49 + "-linux-stand-in"),
    ],
)
def test_host_name_is_that_of_the_vm_and_says_who_stands_in(name, plan, host):
    assert host_name_of(vm_id("s", "g", name), plan) == host


def test_host_name_of_an_instance_names_its_scale_set():
    assert host_name_of(instance_id("s", "g", scale_set="ss1", instance="2"), PLAN) == "ss1-2"


def test_spec_carries_all_of_the_plan():
    plan = GuestPlan(
        machine=MachineType.Q35,
        firmware=Firmware.OVMF,
        vcpus=2,
        memory_mib=512,
        words=("quiet",),
        devices=frozenset({Device.PVPANIC}),
        seed=7,
    )
    spec = spec_of(plan, image(), "vm1")
    assert (spec.name, spec.machine, spec.firmware, spec.vcpus) == ("vm1", plan.machine, plan.firmware, 2)
    assert (spec.memory_mib, spec.devices, spec.seed) == (512, plan.devices, 7)
    assert spec.command_line[-2:] == ("ttylab.hostname=vm1", "quiet")
    assert spec.kernel == Path("/images/bookworm/bzimage")


def test_spec_boots_the_disk_of_an_image_that_has_one():
    spec = spec_of(PLAN, image(disk=Path("/images/bookworm/disk.img")), "vm1")
    assert spec.kernel is None
    assert [disk.path.name for disk in spec.disks] == ["disk.img"]
    assert "ttylab.hostname=vm1" in spec.command_line


def test_spec_refuses_what_no_machine_can_be():
    with pytest.raises(SpecError, match="vcpus"):
        spec_of(GuestPlan(vcpus=99), image(), "vm1")
