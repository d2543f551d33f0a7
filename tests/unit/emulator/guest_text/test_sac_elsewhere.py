"""Where a guest is that will not come to SAC: each is named, soon, and what comes to SAC is named by none."""

import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.guest_text.sac_elsewhere import describe_silence, find_elsewhere, found_nothing
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile
from harness.guests.sac import SacGuest
from harness.play.session import Session
from harness.scenario.errors import ExpectTimeout, GuestDied, SacUnavailable
from harness.scenario.stages import Stage
from tests.support.fake_sac import FakeSac, machine_info

BDS = b'BdsDxe: loading Boot0001 "UEFI QEMU DVD"\r\nBdsDxe: starting Boot0001 "UEFI QEMU DVD"\r\n'
SIGNS = [
    (b"======== Microsoft Azure VM Health Report - Start 2026", "EMS is off"),
    (b"0000\x03\x00\x00\x00", "a kernel debugger has the port"),
    (b"\x08KDTARGET: Refreshing KD connection\r\n", "a kernel debugger has the port"),
    (b"[    0.000000] Linux version 6.1.0 (debian)\r\n", "no Windows"),
    (b"\x1b[2JWelcome to GRUB!\n\r", "no Windows"),
    (b"\x1b[1;1HGNU GRUB  version 2.06", "no Windows"),
    (b"\r\nISOLINUX 6.04 20191223 ETCD\r\n", "no Windows"),
    (b"systemd-boot 252\r\n", "no Windows"),
    (b"U-Boot SPL 2023.01\r\n", "no Windows"),
    (b"iPXE 1.21.1+ -- Open Source Network Boot Firmware", "no Windows"),
    (b"iPXE initialising devices...ok\r\n", "no Windows"),
    (b"BTX loader 1.00  BTX version is 1.02\r\n", "no Windows"),
    (b"Debian GNU/Linux 12 web1 ttyS0\r\n\r\nweb1 login: ", "no Windows"),
]


def switched_on(**fields):
    sac = FakeSac()
    sac.transcript.mark(MarkKind.MACHINE, "started")
    return sac, SacGuest(Session(sac), sac.profile, **fields)


def after(guest, seconds):
    return Deadline.after(seconds, guest.session.transcript.clock)


@pytest.mark.parametrize(("text", "state"), SIGNS)
@pytest.mark.parametrize("stage", [Stage.LOADER, Stage.KERNEL, Stage.CMD])
def test_reach_names_where_the_guest_is_within_30_s_of_the_evidence(text, state, stage):
    sac, guest = switched_on()
    clock = sac.transcript.clock
    sac.transcript.later(100.0, lambda: sac.transcript.append(BDS + b"\r\n" + text))
    began = clock.monotonic()
    with pytest.raises(SacUnavailable) as caught:
        guest.reach(stage, after(guest, 10_000))
    assert caught.value.state == state
    assert clock.monotonic() - began < 130


@pytest.mark.parametrize(("text", "state"), SIGNS)
def test_sync_names_where_the_guest_is_within_30_s(text, state):
    sac, guest = switched_on()
    clock = sac.transcript.clock
    sac.transcript.append(BDS + b"\r\n" + text)
    began = clock.monotonic()
    with pytest.raises(SacUnavailable) as caught:
        guest.sync(after(guest, 10_000))
    assert caught.value.state == state
    assert clock.monotonic() - began < 30


@pytest.mark.parametrize(
    "text", [b"BdsDxe: No bootable option or device was found.\r\n", b"No bootable device.\r\n"]
)
def test_firmware_that_finds_nothing_is_named(text):
    sac, guest = switched_on()
    sac.transcript.append(BDS + text)
    with pytest.raises(SacUnavailable, match="nothing boots: the firmware found neither disk nor CD"):
        guest.reach(Stage.SAC, after(guest, 1000))


def test_bios_that_finds_nothing_is_named_by_its_own_words():
    said = b"SeaBIOS (version 1.16.2)\nBooting from Hard Disk...\nNo bootable device.\n"
    sac, guest = switched_on(firmware_said=lambda: said)
    with pytest.raises(SacUnavailable, match=r"nothing boots: .* SeaBIOS says: No bootable device"):
        guest.reach(Stage.SAC, after(guest, 1000))
    assert sac.transcript.clock.monotonic() < 30
    assert not found_nothing(said + b"SeaBIOS (version 1.16.2)\nBooting from DVD/CD...\n")
    assert not found_nothing(b"")


def test_another_alarm_stays_what_it_is():
    sac, guest = switched_on()
    sac.transcript.mark(MarkKind.QMP, "SHUTDOWN", {"guest": True})
    with pytest.raises(GuestDied, match="SHUTDOWN"):
        guest.reach(Stage.SAC, after(guest, 1000))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BDS, 'the firmware started Boot0001 "UEFI QEMU DVD", and nothing came after it: EMS is off'),
        (b"", "nothing was written: EMS is off"),
    ],
)
def test_silence_is_told_with_what_is_known(text, why):
    sac, guest = switched_on()
    sac.transcript.append(text)
    with pytest.raises(SacUnavailable) as caught:
        guest.reach(Stage.SAC, after(guest, 60))
    assert caught.value.state == "silence"
    assert why in str(caught.value)


def test_guest_that_wrote_something_else_is_no_silence():
    sac, guest = switched_on()
    sac.transcript.append(BDS + b"hello\r\n")
    with pytest.raises(ExpectTimeout, match=r"awaited the machine-info .* last came 'hello'"):
        guest.reach(Stage.SAC, after(guest, 60))
    assert describe_silence(BDS + b"hello") is None


def test_cmd_that_sac_says_is_not_there_is_named_at_once():
    sac, guest = switched_on()
    sac.transcript.append(machine_info(sac.profile).encode())
    sac.transcript.append(sac.profile.texts["boot.banner"].wire + b"SAC>")
    sac.transcript.later(
        5.0, lambda: sac.transcript.append(b"\r\nEVENT: The CMD command is unavailable.\r\nSAC>")
    )
    with pytest.raises(SacUnavailable, match="SAC without CMD: SAC says that the CMD command is unavailable"):
        guest.reach(Stage.CMD, after(guest, 10_000))
    assert sac.transcript.clock.monotonic() < 60


def test_cmd_that_never_comes_is_named():
    sac, guest = switched_on()
    sac.transcript.append(machine_info(sac.profile).encode())
    sac.transcript.append(sac.profile.texts["boot.banner"].wire + b"SAC>")
    with pytest.raises(SacUnavailable, match=r"SAC without CMD: its service \(sacsvr\) did not register"):
        guest.reach(Stage.CMD, after(guest, 90))


@pytest.mark.parametrize("boots_from_cd", [True, False])
def test_cd_gets_a_key_only_where_one_is_to_boot(monkeypatch, boots_from_cd):
    sac, guest = switched_on(boots_from_cd=boots_from_cd)
    typed: list[str] = []
    monkeypatch.setattr(sac, "take", typed.append)
    sac.transcript.append(BDS + b"Press any key to boot from CD or DVD.....")
    sac.transcript.later(5.0, sac.boot)
    guest.reach(Stage.CMD, after(guest, 60))
    assert typed == (["\r"] if boots_from_cd else [])


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_that_a_release_says_is_taken_for_something_else(name):
    profile = load_profile(name)
    texts = {key: text for key, text in profile.texts.items() if key != "boot.health_report_start"}
    for key, text in texts.items():
        found = find_elsewhere(b"\r\n" + text.wire)
        assert found is None or key.startswith("kd."), (key, found)
