"""The SAC guest boots on every way, says what a release says, and never passes for Windows."""

import re
import time

import pytest

from emulator.console.marks import last_start
from emulator.guest_text.sac import DOCUMENT
from emulator.machine.power import PowerCycle
from emulator.machine.spec import MachineType
from emulator.sac.image import SacBoot
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import IDENTITY, load_profile
from tests.support.sac_guest import PROMPT, open_sac, soon

pytestmark = pytest.mark.qemu
GUID = "12345678-9abc-def0-1122-334455667788"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            (way, machine), id=f"{way}-{machine}", marks=pytest.mark.xdist_group(f"sac-{way}-{machine}")
        )
        for way in SacBoot
        for machine in (MachineType.PC, MachineType.Q35)
    ],
)
def booted(request, tmp_path_factory):
    """One guest for each way and board; the tests use it in their order, and the last one crashes it."""
    way, machine = request.param
    with open_sac(tmp_path_factory.mktemp("sac"), way=way, machine=machine, autoreboot=False) as rig:
        banner = rig.see("boot.banner")
        rig.reach_prompt()
        yield way, rig, banner.before


def test_guest_reaches_its_prompt_on_every_way(booted):
    way, rig, before = booted
    assert GUID.encode() in before
    assert (b"BdsDxe: loading " in before) == (way is SacBoot.UEFI_DISK)
    assert b"Unrecognized command." in rig.run(b"zzz")


def test_guest_restarts_itself_on_every_way(booted):
    _, rig, _ = booted
    rig.press(b"restart\r")
    rig.see("sac.going_down")
    rig.see("boot.banner")
    rig.reach_prompt()
    assert b"unexpected" not in rig.run(b"d")


def test_nmi_reaches_the_guest_under_every_firmware(booted):
    _, rig, _ = booted
    rig.machine.nmi(soon())
    rig.see("xml.bugcheck_open")


@pytest.mark.parametrize("vcpus", [2, 3, 4])
@pytest.mark.parametrize("way", [SacBoot.PVH, SacBoot.BIOS_DISK])
def test_guest_survives_an_nmi_to_every_vcpu(tmp_path, way, vcpus):
    with open_sac(tmp_path, way=way, vcpus=vcpus) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        assert rig.see("xml.bugcheck_open").groups == (b"80",)
        rig.reach_prompt()


@pytest.mark.parametrize("name", PROFILES)
def test_guest_says_what_its_profile_says(tmp_path, name):
    profile = load_profile(name)
    with open_sac(tmp_path, profile=name, computer_name="NTHEAD-800I-1") as rig:
        said = rig.see("boot.banner").before
        expected = (
            ("name", "NTHEAD-800I-1"),
            ("guid", GUID),
            ("processor-architecture", profile.architecture),
            ("os-version", profile.os_version),
            ("os-build-number", profile.os_build),
            ("os-product", profile.product),
            ("os-service-pack", profile.service_pack),
        )
        shown = re.findall(rb"<([a-z-]+)>([^<\r\n]*)</", said)
        assert shown == [(key.encode(), value.encode()) for key, value in expected]
        assert said.startswith(
            rig.profile.texts["boot.terminal_on"].wire + rig.profile.texts["xml.head"].wire
        )
        rig.reach_prompt()
        assert (b"livedump" in rig.run(b"?")) == profile.has_livedump


def test_guest_offers_cmd_before_anything_is_typed(tmp_path):
    with open_sac(tmp_path) as rig:
        rig.see("boot.banner")
        after = rig.expect(rb"EVENT: [^\r]*\r\nSAC>")
        assert after.before == b"SAC>\r\n"


def test_machine_shows_that_the_guest_is_no_windows(tmp_path):
    with open_sac(tmp_path) as rig:
        rig.reach_prompt()
        assert f"type=1,manufacturer=ttylab,product={IDENTITY},uuid={GUID}" in rig.machine.argv
        assert ("product", IDENTITY) in rig.machine.spec.smbios
        assert IDENTITY.encode() in rig.run(b"d")
        rig.enter_cmd()
        assert IDENTITY.encode() in rig.shell(b"type C:\\ttylab.txt")


def test_guest_waits_with_the_banner_and_the_event(tmp_path):
    with open_sac(tmp_path, boot_ms=200, cmd_event_ms=-1) as rig:
        rig.see("boot.banner")
        rig.expect(PROMPT)
        assert rig.run(b"cmd").startswith(rig.profile.texts["sac.cmd_too_early"].wire)


def test_guest_boots_again_after_a_reset_in_the_middle(tmp_path):
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK) as rig:
        rig.reach_prompt()
        rig.press(b"half a li")
        rig.expect(b"half a li")
        rig.machine.reset(soon())
        rig.see("boot.banner")
        rig.reach_prompt()
        assert b"The last shutdown was unexpected." in rig.run(b"d")


def test_bytes_of_a_boot_come_after_its_mark_however_late_qemus_word_is_heard(tmp_path, monkeypatch):
    note = PowerCycle._note_event

    def note_late(cycle, name, data):
        if name == "RESET":
            time.sleep(0.2)  # this guest is up again after 60 ms
        note(cycle, name, data)

    monkeypatch.setattr(PowerCycle, "_note_event", note_late)
    with open_sac(tmp_path) as rig:
        rig.reach_prompt()
        typed = len(rig.machine.transcript)
        rig.press(b"restart\r")
        rig.see("boot.banner")
        rig.reach_prompt()
        transcript = rig.machine.transcript
        start = last_start(transcript.marks)
    assert (start.name, start.offset > typed) == ("RESET", True)
    assert [transcript.read(0, start.offset).count(DOCUMENT), transcript.read().count(DOCUMENT)] == [1, 2]
