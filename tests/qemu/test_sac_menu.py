"""The boot manager's menu, seen through a terminal."""

import pytest

from emulator.sac.image import SacBoot
from tests.support.sac_guest import open_sac, soon

pytestmark = pytest.mark.qemu


def countdown(seconds):
    return f"Seconds until the highlighted choice will be started automatically: {seconds}"


def open_menu(tmp_path, **fields):
    return open_sac(tmp_path, **{"menu_timeout_s": 30} | fields)


def test_menu_shows_what_the_boot_manager_shows(tmp_path):
    with open_menu(tmp_path) as rig:
        screen = rig.screen()
        screen.wait_for("ENTER=Choose", soon())
        lines = screen.lines()
        assert lines[0].strip() == "Windows Boot Manager"
        assert lines[2] == "Choose an operating system to start, or press TAB to select a tool:"
        assert lines[3] == "(Use the arrow keys to highlight your choice, then press ENTER.)"
        assert lines[5].split("  ")[2] == "Windows Server [EMS Enabled]"
        assert lines[14] == "To specify an advanced option for this choice, press F8."
        assert lines[16] == countdown(30)
        assert lines[18] == "Tools:"
        assert lines[20].strip() == "Windows Memory Diagnostic"
        assert rig.machine.transcript.read().startswith(b"\x1b[2J\x1b[1;1H\x1b[0m\x1b[37;40m")
        screen.wait_for(countdown(29), soon())


def test_menu_starts_by_itself(tmp_path):
    with open_menu(tmp_path, menu_timeout_s=1) as rig:
        rig.see("boot.banner")


@pytest.mark.parametrize("enter", [b"\r", b"\n"])
def test_enter_starts_at_once(tmp_path, enter):
    with open_menu(tmp_path) as rig:
        rig.see("menu.countdown")
        rig.press(enter)
        rig.reach_prompt()


def test_other_keys_stop_the_countdown_and_enter_goes_on(tmp_path):
    with open_menu(tmp_path, menu_timeout_s=1) as rig:
        screen = rig.screen()
        screen.wait_for("ENTER=Choose", soon())
        rig.press(b"x")
        screen.wait_for(lambda shown: shown.lines()[16] == "", soon())
        assert rig.session.wait_quiet(1.5, soon())
        assert b"SAC>" not in rig.machine.transcript.read()
        rig.press(b"\r")
        rig.reach_prompt()


def test_arrows_choose_an_entry(tmp_path):
    with open_menu(tmp_path, menu_entries=("First", "Second", "Third")) as rig:
        rig.see("menu.status")
        for keys, name in ((b"\x1b[B", b"Second"), (b"\x1b[B", b"Third"), (b"\x1b[A", b"Second")):
            rig.press(keys)
            rig.expect(rb"\x1b\[30;47m    " + name + rb" \[EMS Enabled\] *>")
        rig.press(b"\r")
        rig.reach_prompt()
        assert b": Second\r\n" in rig.run(b"d")


def test_tab_selects_the_memory_diagnostic_which_restarts(tmp_path):
    with open_menu(tmp_path, way=SacBoot.BIOS_DISK) as rig:
        rig.see("menu.status")
        rig.press(b"\t")
        rig.expect(rb"\x1b\[30;47m    Windows Memory Diagnostic *>")
        rig.press(b"\r")
        rig.wait_mark("RESET")
        rig.see("menu.countdown")


def test_lone_escape_restarts_after_a_while(tmp_path):
    with open_menu(tmp_path) as rig:
        rig.see("menu.status")
        rig.press(b"\x1b")
        rig.wait_mark("RESET")
        rig.see("menu.status")


def test_f8_shows_the_advanced_options_and_back(tmp_path):
    with open_menu(tmp_path) as rig:
        screen = rig.screen()
        rig.see("menu.status")
        rig.press(b"\x1b8")
        screen.wait_for("Safe Mode with Networking", soon())
        rig.press(b"\x1b\x1b[D")
        screen.wait_for("Tools:", soon())


def test_advanced_option_keeps_the_machine_from_restarting(tmp_path):
    with open_menu(tmp_path) as rig:
        rig.see("menu.status")
        rig.press(b"\x1b8")
        rig.expect(rb"\x1b\[30;47m    Start Windows Normally *>")
        rig.press(b"\x1b[A")
        rig.expect(rb"\x1b\[30;47m    Disable automatic restart[^>]*>")
        rig.press(b"\r")
        rig.reach_prompt()
        rig.machine.nmi(soon())
        rig.expect(rb"100% complete\r\n!SAC>")
        assert rig.marks("RESET") == 0


def test_install_medium_waits_for_a_key(tmp_path):
    with open_sac(tmp_path, cd_prompt_s=60) as rig:
        rig.see("menu.cd_prompt")
        rig.press(b" ")
        rig.reach_prompt()


def test_menu_of_2003_is_ntldrs(tmp_path):
    with open_menu(tmp_path, profile="2003") as rig:
        screen = rig.screen()
        screen.wait_for("Please select the operating system to start:", soon())


def test_power_button_works_at_the_menu(tmp_path):
    with open_menu(tmp_path) as rig:
        rig.see("menu.status")
        rig.machine.power_button(soon())
        rig.wait_mark("SHUTDOWN")


def test_nmi_works_at_the_menu(tmp_path):
    with open_menu(tmp_path, autoreboot=False) as rig:
        rig.see("menu.status")
        rig.machine.nmi(soon())
        rig.see("xml.bugcheck_open")
