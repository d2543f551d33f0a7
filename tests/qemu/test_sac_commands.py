"""SAC's prompt and its commands, text for text."""

import re

import pytest

from tests.support.sac_guest import PROMPT, open_sac, soon

pytestmark = pytest.mark.qemu

ANSWERS = {
    b"zzz": "sac.unknown_command",
    b"chx": "sac.unknown_command",
    b"ch -si": "sac.bad_arguments",
    b"ch -x 1": "sac.bad_arguments",
    b"ch -si 7": "channel.bad_index",
    b"ch -ci x": "channel.bad_index",
    b"ch -sn nobody": "channel.bad_name",
    b"ch -ci 0": "channel.sac_stays",
    b"f": "sac.threads_off",
    b"F": "sac.threads_on",
    b"p": "sac.paging_off",
    b"paging": "sac.paging_on",
    b"k 1592": "sac.kill_done",
    b"k": "sac.bad_arguments",
    b"r 1480": "sac.raise_not_lowered",
    b"l 1480": "sac.lower_done",
    b"l x": "sac.bad_arguments",
    b"m 1480 1": "sac.limit_done",
    b"m 1480": "sac.bad_arguments",
    b"s 13/01/2020 10:00": "sac.bad_arguments",
    b"s 01/01/1979 10:00": "sac.year_range",
    b"i 11": "sac.ip_bad_address",
    b"i 11 1.2.3.4 255.255.255.256": "sac.ip_bad_subnet",
    b"i 11 1.2.3.4 255.255.255.0 x": "sac.ip_bad_gateway",
    b"i x": "sac.ip_no_number",
    b"i 11 1.2.3.4 255.255.255.0 1.2.3.1": "sac.ip_set",
    b"livedump -u": "sac.livedump_done",
    b"lock": "sac.locked",
    b"cmd": "sac.cmd_locked",
}


@pytest.fixture
def rig(tmp_path):
    with open_sac(tmp_path) as opened:
        opened.reach_prompt()
        yield opened


def test_commands_answer_with_their_texts(rig):
    wrong = {}
    for line, key in ANSWERS.items():
        answer = rig.run(line)
        if answer != rig.profile.texts[key].wire:
            wrong[line] = answer
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "key", "status"),
    [(b"k 4", "kill_failed", b"C0000022"), (b"l 9999", "lower_failed", b"C000000B")],
)
def test_failed_command_tells_the_status(rig, line, key, status):
    assert (
        rig.run(line) == rig.profile.texts[f"sac.{key}"].wire + b"Failed with status 0x" + status + b".\r\n"
    )


def test_help_lists_the_commands_in_their_order_and_does_not_page(rig):
    keys = [key for key in rig.profile.texts if key.startswith("sac.help_")]
    expected = b"".join(rig.profile.texts[key].wire for key in keys)
    assert rig.run(b"?") == rig.run(b"help") == rig.run(b"helpful") == expected
    assert expected.startswith(b"ch   ")
    assert expected.count(b"\r\n") == 21


def test_ch_lists_the_channels_and_explains_itself(rig):
    assert rig.run(b"ch") == rig.profile.texts["channel.list_head"].wire + b"0 (AV)    SAC\r\n"
    keys = [key for key in rig.profile.texts if key.startswith("channel.help_")]
    assert rig.run(b"ch -?") == b"".join(rig.profile.texts[key].wire for key in keys)


def test_id_tells_what_machine_it_is(rig):
    rows = rig.run(b"id").split(b"\r\n")
    assert rows[0] == b"           Computer Name: WIN-TTYLAB"
    assert rows[1] == b"           Computer GUID: 12345678-9abc-def0-1122-334455667788"
    assert re.fullmatch(rb"  Time since last reboot: 0:00:\d\d", rows[-2])


def test_tlist_is_paged_until_paging_is_off(rig):
    rig.press(b"t\r")
    first = rig.see("sac.more").before
    assert first.count(b"\r\n") == 1 + 23  # the typed line, and a page
    rig.press(b"\r")
    rest = rig.expect(PROMPT).before
    rows = re.findall(rig.profile.texts["sac.tlist_row"].pattern, first + rest)
    assert {row[-1] for row in rows} >= {b"System", b"smss.exe", b"sacsess.exe", b"WmiPrvSE.exe"}
    rig.run(b"p")
    assert b"WmiPrvSE.exe" in rig.run(b"test")  # commands match by their beginning: this is t


def test_priorities_go_down_and_up_again(rig):
    rig.run(b"l 1480")
    answers = [rig.run(b"r 1480") for _ in range(8)]
    assert answers == [rig.profile.texts["sac.raise_done"].wire] * 7 + [
        rig.profile.texts["sac.raise_no_higher"].wire
    ]


def test_time_can_be_set(rig):
    assert re.fullmatch(rig.profile.texts["sac.time"].pattern, rig.run(b"s"))
    assert rig.run(b"s 02/29/2024 13:59") == b"Date: 02/29/2024  Time (GMT): 13:59\r\n"
    assert rig.run(b"s").startswith(b"Date: 02/29/2024  Time (GMT): 1")


def test_addresses_can_be_set(rig):
    head = rig.profile.texts["sac.ip_retrieving"].wire
    assert rig.run(b"i") == head + b"Net: 11, Ip=10.0.2.15  Subnet=255.255.255.0  Gateway=10.0.2.2\r\n"
    rig.run(b"i 11 192.168.7.9 255.255.0.0 192.168.7.1")
    assert rig.run(b"i") == head + b"Net: 11, Ip=192.168.7.9  Subnet=255.255.0.0  Gateway=192.168.7.1\r\n"


def test_no_address_is_told(tmp_path):
    with open_sac(tmp_path, ip="") as rig:
        rig.reach_prompt()
        assert rig.run(b"i") == rig.profile.texts["sac.ip_none"].wire


def test_line_ends_at_cr_at_lf_and_at_ctrl_c_and_crlf_is_one(rig):
    rig.press(b"zzz\r\nzzz\nzzz\x03")
    for _ in range(3):
        rig.see("sac.unknown_command")
    rig.press(b"\r")
    assert rig.expect(rb"SAC>\r\nSAC>").before == b""


def test_keys_edit_the_line(rig):
    rig.press(b"  PAx\b\x7f\x7fp\t  \r")
    rig.see("sac.paging_off")
    assert b"\x07" in rig.machine.transcript.read()


def test_line_keeps_78_characters_and_overwrites_the_last(rig):
    rig.press(b"a" * 78 + b"bc")
    rig.expect(b"a\x08b\x08c")
    rig.press(b"\r")
    rig.see("sac.unknown_command")


def test_event_interrupts_a_line_that_stays(tmp_path):
    with open_sac(tmp_path, event_while_typing=2) as rig:
        rig.reach_prompt()
        rig.press(b"id")
        rig.expect(rb"id\r\nEVENT: The CMD command is now available\.\r\nSAC>")
        rig.press(b"\r")
        rig.expect(rb"Computer Name:")


def test_lost_service_is_told_and_ends_cmd(rig):
    rig.press(b"k 1120\r")
    rig.see("sac.kill_done")
    assert rig.see("sac.cmd_gone_event").before == b"SAC>\r\n"
    rig.expect(PROMPT)
    assert rig.run(b"cmd").startswith(rig.profile.texts["sac.cmd_too_early"].wire)


@pytest.mark.parametrize(
    ("line", "said", "mark"),
    [(b"restart", "restarting", "RESET"), (b"shutdown", "shutting_down", "SHUTDOWN")],
)
def test_power_commands_announce_themselves(rig, line, said, mark):
    rig.press(line + b"\r")
    rig.see(f"sac.{said}")
    rig.see("sac.going_down")
    rig.wait_mark(mark)


def test_restart_waits_for_its_uptime(tmp_path):
    with open_sac(tmp_path, restart_wait_s=1) as rig:
        rig.reach_prompt()
        rig.press(b"restart\r")
        rig.see("sac.restarting")
        rig.see("sac.going_down")
        rig.see("boot.banner")
        rig.reach_prompt()
        assert b"unexpected" not in rig.run(b"d")


def test_power_button_shuts_down(rig):
    rig.machine.power_button(soon())
    rig.see("sac.going_down")
    rig.wait_mark("SHUTDOWN")
