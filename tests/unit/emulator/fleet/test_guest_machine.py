"""From a plan to a machine."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator.cloud.guest_plan import SAC_IMAGE, GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import instance_id, vm_id
from emulator.errors import SpecError
from emulator.fleet.guest import HOST_NAME_MAX, host_name_of, plan_of, spec_of
from emulator.images.image import Image
from emulator.machine.spec import Device, Firmware, MachineType
from emulator.sac.image import sac_image
from emulator.sac.knobs import FW_CFG_NAME, Hang, SacKnobs, knob_words
from tests.support.linux_images import linux_image

PLAN = GuestPlan()
VM_ID = "5f1e7a30-0c4b-4d7e-9a51-77ab39f1c0de"
OTHER_ID = "00000000-0000-0000-0000-00000000000a"
WINDOWS = GuestPlan(stands_in_for="Windows")
SAC = GuestPlan(image=SAC_IMAGE, stands_in_for="Windows")


def image(disk: Path | None = None) -> Image:
    root = Path("/images/bookworm")
    files = ("vmlinux",) if disk is None else ("vmlinux", disk.name)
    return linux_image(sha256=dict.fromkeys(files, "00"), directory=root if disk is None else disk.parent)


@pytest.mark.parametrize(
    ("name", "plan", "host"),
    [
        ("linux1", PLAN, "linux1"),
        ("win1", WINDOWS, "win1-linux-stand-in"),
        ("win1", SAC, "win1"),
        ("win1", GuestPlan(image="sac-2019", stands_in_for="Windows"), "win1"),
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
        uuid=VM_ID,
    )
    spec = spec_of(plan, image(), "vm1")
    assert dict(spec.smbios)["uuid"] == VM_ID
    assert (spec.name, spec.machine, spec.firmware, spec.vcpus) == ("vm1", plan.machine, plan.firmware, 2)
    assert (spec.memory_mib, spec.devices, spec.seed) == (512, plan.devices, 7)
    assert spec.command_line[-2:] == ("ttylab.hostname=vm1", "quiet")
    assert spec.kernel == Path("/images/bookworm/bzimage")


@pytest.mark.parametrize(("own", "shown"), [(None, VM_ID), (OTHER_ID, OTHER_ID)])
def test_machine_has_the_id_of_its_vm_for_a_uuid_unless_it_was_given_another(own, shown):
    vm = VirtualMachine(
        id=vm_id("s", "g", "vm1"),
        document={},
        vm_id=VM_ID,
        created=datetime.now(UTC),
        guest=GuestPlan(uuid=own),
    )
    assert plan_of(vm).uuid == shown


def test_spec_boots_the_disk_of_an_image_that_has_one():
    spec = spec_of(PLAN, image(disk=Path("/images/bookworm/disk.img")), "vm1")
    assert spec.kernel is None
    assert [disk.path.name for disk in spec.disks] == ["disk.img"]
    assert "ttylab.hostname=vm1" in spec.command_line


def test_spec_refuses_what_no_machine_can_be():
    with pytest.raises(SpecError, match="vcpus"):
        spec_of(GuestPlan(vcpus=99), image(), "vm1")


def told(plan, name):
    """Return the knobs that the SAC guest of `plan` is handed."""
    plan = replace(plan, machine=MachineType.Q35)
    return dict(spec_of(plan, sac_image(plan.image), name).fw_cfg)[FW_CFG_NAME]


def test_sac_guest_is_called_as_its_vm_and_is_of_its_images_release():
    plan = GuestPlan(image="sac-2019", words=("menu_timeout_s=7", "profile=2003"))
    knobs = SacKnobs(computer_name="A-VM-OF-FIFTEEN", menu_timeout_s=7, profile="2019")
    assert told(plan, "a.vm_of-fifteen-and-more") == knobs.to_fw_cfg()


def test_knobs_of_a_plan_are_those_that_its_words_were_made_of():
    knobs = SacKnobs(menu_entries=("One", "Two (old)"), hang=Hang.EMS_OFF, autoreboot=False, module="a.sys")
    assert told(GuestPlan(image=SAC_IMAGE, words=knob_words(knobs)), "vm1") == knobs.to_fw_cfg()
    assert told(GuestPlan(image=SAC_IMAGE, words=knob_words(SacKnobs())), "vm1") == SacKnobs().to_fw_cfg()


def test_words_that_are_no_knobs_are_refused_for_a_sac_guest_alone():
    assert GuestPlan(words=("quiet",)).words == ("quiet",)
    with pytest.raises(SpecError, match="'quiet' is not a knob of the SAC guest"):
        GuestPlan(image=SAC_IMAGE, words=("quiet",))


def test_an_image_that_needs_more_memory_gets_it_unless_told_otherwise(monkeypatch) -> None:
    small, big = image(), image()
    spec = small.spec
    monkeypatch.setattr(
        Image, "spec", lambda self, board: replace(spec(board), memory_mib=1024 if self is big else 128)
    )
    assert spec_of(PLAN, small, "vm").memory_mib == 256
    assert spec_of(PLAN, big, "vm").memory_mib == 1024
    assert spec_of(replace(PLAN, memory_mib=300), big, "vm").memory_mib == 300
