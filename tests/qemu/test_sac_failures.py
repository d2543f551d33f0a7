"""Ways in which the guest fails on purpose, and that each of them is what it says."""

import pytest

from emulator.sac.image import SacBoot
from emulator.sac.knobs import Hang
from tests.support.sac_guest import open_sac, soon

pytestmark = pytest.mark.qemu
QUIET_S = 1.0


def test_nmi_does_nothing(tmp_path):
    with open_sac(tmp_path, hang=Hang.NMI_IGNORED) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        assert rig.session.wait_quiet(QUIET_S, soon())
        assert rig.run(b"zzz") == rig.profile.texts["sac.unknown_command"].wire
        assert b"<BP>" not in rig.machine.transcript.read()


def test_dump_stands_still(tmp_path):
    with open_sac(tmp_path, hang=Hang.STUCK_DUMP, stuck_percent=35) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        rig.expect(rb"for you\. 35% complete\r\n")
        rig.press(b"\r\x03restart\r")
        rig.machine.nmi(soon())
        assert rig.session.wait_quiet(QUIET_S, soon())
        assert rig.machine.transcript.read().endswith(b"35% complete\r\n")
        rig.machine.reset(soon())
        rig.reach_prompt()


def test_power_button_does_nothing(tmp_path):
    with open_sac(tmp_path, hang=Hang.POWER_BUTTON_IGNORED) as rig:
        rig.reach_prompt()
        rig.machine.power_button(soon())
        assert rig.session.wait_quiet(QUIET_S, soon())
        assert rig.run(b"zzz") == rig.profile.texts["sac.unknown_command"].wire
        assert rig.marks("SHUTDOWN") == 0


def test_guest_boots_for_ever(tmp_path):
    with open_sac(tmp_path, hang=Hang.BOOT_LOOP) as rig:
        for _ in range(3):
            rig.see("boot.banner")
        rig.wait_mark("RESET")


@pytest.mark.parametrize("profile", ["2003", "2022"])
def test_guest_stops_in_recovery(tmp_path, profile):
    with open_sac(tmp_path, hang=Hang.RECOVERY, profile=profile) as rig:
        screen = rig.screen()
        screen.wait_for("It looks like Windows didn't load correctly", soon())
        rig.press(b"x\r")
        rig.wait_mark("RESET")
        rig.see("menu.recovery_title" if profile == "2022" else "menu.error_recovery")


def test_kernel_debugger_has_the_port(tmp_path):
    with open_sac(tmp_path, hang=Hang.KERNEL_DEBUGGER) as rig:
        rig.expect(rb"iiii\x06\x00")
        rig.press(b"ch\r")
        rig.expect(rb"iiii\x06\x00")
        assert b"SAC>" not in rig.machine.transcript.read()
        rig.machine.power_button(soon())
        rig.wait_mark("SHUTDOWN")


def test_ems_is_off(tmp_path):
    with open_sac(tmp_path, hang=Hang.EMS_OFF, way=SacBoot.BIOS_DISK) as rig:
        rig.see("boot.health_report_start")
        rig.see("boot.health_report_end")
        rig.press(b"ch\r")
        assert rig.session.wait_quiet(QUIET_S, soon())
        assert b"SAC>" not in rig.machine.transcript.read()
        rig.machine.power_button(soon())
        rig.wait_mark("SHUTDOWN")


@pytest.mark.parametrize(
    ("hang", "keys"),
    [
        (Hang.CMD_TIMEOUT, ("sac.cmd_timeout", "sac.cmd_timeout_tail")),
        (Hang.CMD_FAILS, ("sac.cmd_failed",)),
    ],
)
def test_cmd_is_refused(tmp_path, hang, keys):
    with open_sac(tmp_path, hang=hang) as rig:
        rig.reach_prompt()
        answer = rig.run(b"cmd")
        assert answer.startswith(b"".join(rig.profile.texts[key].wire for key in keys))
        assert answer.endswith(b"0xC0000001.\r\n") == (hang is Hang.CMD_FAILS)
