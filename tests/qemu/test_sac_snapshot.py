"""Snapshots: a guest goes on where it was saved, its clocks too."""

import pytest

from emulator.sac.image import SacBoot
from tests.support.sac_guest import open_sac, soon

pytestmark = pytest.mark.qemu


def monitor(rig, line):
    answer = rig.machine.query("human-monitor-command", {"command-line": line}, deadline=soon())
    assert answer == "", answer


def test_restored_guest_still_answers_and_crashes(tmp_path):
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK, restart_wait_s=0) as rig:
        rig.reach_prompt()
        rig.press(b"half a ")
        rig.expect(b"half a ")
        monitor(rig, "savevm one")
        rig.press(b"line\r")
        rig.see("sac.unknown_command")
        rig.run(b"p")
        for _ in range(2):
            monitor(rig, "loadvm one")
            rig.session.skip()
            rig.press(b"x\r")
            rig.expect(rb"x\r\nUnrecognized command\.")
            assert rig.run(b"p") == rig.profile.texts["sac.paging_off"].wire
        rig.machine.nmi(soon())
        rig.see("xml.bugcheck_open")
        rig.reach_prompt()


def test_restored_menu_still_counts(tmp_path):
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK, menu_timeout_s=2) as rig:
        rig.see("menu.countdown")
        monitor(rig, "savevm menu")
        rig.reach_prompt()
        monitor(rig, "loadvm menu")
        rig.session.skip()
        rig.reach_prompt()
