"""Channels: the switch screen, the full redraw, ten of them, and their ends."""

import re

import pytest

from tests.support.sac_guest import CMD_PROMPT, PROMPT, open_sac, soon

pytestmark = pytest.mark.qemu


@pytest.fixture
def rig(tmp_path):
    with open_sac(tmp_path) as opened:
        opened.reach_prompt()
        yield opened


def test_cmd_says_that_it_was_launched_and_then_that_there_is_a_channel(rig):
    rig.press(b"cmd\r")
    said = rig.expect(rb"Channel: Cmd0001\r\nSAC>").data
    before = rig.machine.transcript.read()[: rig.session.position]
    launched = (
        rig.profile.texts["sac.cmd_launched"].wire + b"SAC>\r\nEVENT:   A new channel has been created."
    )
    assert said.endswith(PROMPT)
    assert launched in before
    assert b"1 (AV)    Cmd0001" in rig.run(b"ch")


def test_switch_sends_xml_and_header_and_waits_for_a_key(rig):
    rig.press(b"cmd\r")
    rig.see("channel.created")
    rig.press(b"ch -si 1\r")
    name, description, kind, guid, application = rig.see("xml.channel_switch").groups
    assert (name, description, kind) == (b"Cmd0001", b"Command", b"VT-UTF8")
    assert application == b"63d02271-8aa4-11d5-bccf-00b0d014a2d0"
    assert re.fullmatch(rb"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", guid)
    assert rig.see("channel.header").groups == (name, description, kind, guid, application)
    rig.see("channel.header_keys")
    rig.press(b"x")
    assert b"x" not in rig.see("cmd.username").before  # the key was consumed


def test_viewing_redraws_the_whole_screen_row_by_row(rig):
    rig.run(b"zzz")
    rig.press(b"\x1b\t")
    rig.see("channel.header_keys")
    rig.press(b"\r")
    head = re.escape(b"\x1b[2J\x1b[1;1H\x1b[0m\x1b[22m\x1b[25m\x1b[27m\x1b[40m\x1b[37m")
    rows = rig.expect(
        head + rb"(.{80})" + b"".join(rb"\x1b\[%d;1H(.{80})" % row for row in range(2, 25))
    ).groups
    assert (
        rows[1].rstrip() == b"Computer is booting, SAC started and initialized."
    )  # the old text comes again
    assert any(row.startswith(b"Unrecognized command.") for row in rows)
    rig.expect(rb"\x1b\[[0-9]+;5H\x1b\[22m\x1b\[25m\x1b\[27m\x1b\[40m\x1b\[37m")


def test_redraw_can_be_left_out(tmp_path):
    with open_sac(tmp_path, redraw=False) as rig:
        rig.reach_prompt()
        rig.press(b"\x1b\t")
        rig.see("channel.header_keys")
        rig.press(b"\r")
        assert b"Computer is booting" not in rig.expect(rb"\x1b\[[0-9]+;5H").before


def test_escape_tab_goes_round_and_zero_goes_to_sac(rig):
    for name in (b"Cmd0001", b"Cmd0002"):
        rig.press(b"cmd\r")
        rig.expect(b"Channel: " + name)
    for name in (b"Cmd0001", b"Cmd0002", b"SAC", b"Cmd0001"):
        rig.press(b"\x1b\t")
        assert rig.see("channel.header").groups[0] == name
    rig.press(b"\x1b\t0")
    rig.expect(rb"Name:                  SAC\r\n")


def test_screens_of_channels_are_their_own(rig):
    rig.enter_cmd()
    rig.shell(b"echo first of all")
    rig.leave_to_sac()
    rig.view(b"Cmd0001")
    rig.expect(rb"first of all *\x1b")
    rig.expect(CMD_PROMPT + rb" *\x1b")


def test_ten_channels_are_the_most(rig):
    for number in range(1, 10):
        rig.press(b"cmd\r")
        rig.expect(rb"Channel: Cmd%04d\r\nSAC>" % number)
    assert rig.run(b"cmd") == rig.profile.texts["channel.too_many"].wire
    assert rig.run(b"ch").count(b"(AV)") == 10


def test_names_count_up_and_are_not_used_again(rig):
    rig.press(b"cmd\r")
    rig.expect(rb"Channel: Cmd0001\r\nSAC>")
    rig.press(b"ch -cn Cmd0001\r")
    rig.expect(
        re.escape(
            b"ch -cn Cmd0001\r\nSAC>\r\nEVENT:   A channel has been closed.\r\nChannel: Cmd0001\r\nSAC>"
        )
    )
    rig.press(b"cmd\r")
    rig.expect(rb"Channel: Cmd0002\r\nSAC>")
    assert b"1 (AV)    Cmd0002" in rig.run(b"ch")


def test_setup_logs_are_raw_channels(tmp_path):
    with open_sac(tmp_path, setup_channels=True) as rig:
        rig.reach_prompt()
        listed = rig.run(b"ch")
        assert listed.split(b"\r\n")[-4:-1] == [
            b"1 (AR)    setuplog.txt",
            b"2 (AR)    setuperr.log",
            b"3 (AR)    setupact.log",
        ]
        rig.press(b"ch -sn setuplog.txt\r")
        assert rig.see("xml.channel_switch").groups[2:][0] == b"Raw"
        rig.see("channel.header_keys")
        rig.press(b"\r")
        rig.see("setup.setuplog")


def test_exit_ends_the_channel_and_shows_sacs_header(rig):
    rig.enter_cmd()
    rig.press(b"exit\r")
    rig.expect(rb"Name:                  SAC\r\n")
    rig.see("channel.header_keys")
    rig.press(b"\r")
    rig.expect(rb"EVENT:   A channel has been closed\. *\x1b\[[0-9]+;1HChannel: Cmd0001")
    rig.press(b"\r")
    rig.expect(PROMPT)
    assert b"Cmd0001" not in rig.run(b"ch")


def test_lock_sends_open_channels_back_to_their_login(rig):
    rig.enter_cmd()
    rig.leave_to_sac()
    rig.run(b"lock")
    rig.view(b"Cmd0001")
    screen = rig.screen()
    screen.wait_for("Username:", soon())
    assert not any("system32" in line for line in screen.lines())


def test_idle_channel_is_closed(tmp_path):
    with open_sac(tmp_path, idle_timeout_s=1) as rig:
        rig.reach_prompt()
        rig.press(b"cmd\r")
        rig.see("channel.created")
        rig.see("channel.closed")
