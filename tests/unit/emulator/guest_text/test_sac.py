"""The SAC driver's readers: machine-info, bugchecks, screens, echoes, lines; and that they say no."""

import re

import pytest

from emulator.guest_text.sac import EVENT, echo_pattern, encode_powershell, lines_of
from emulator.guest_text.sac_documents import MachineInfo, parse_bugcheck, parse_machine_info
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile
from harness.guests.sac_boot import Showing, read_screen

SERVER_2003 = b"""<?xml>\r
<machine-info>\r
<name>NTHEAD-800I-1</name>\r
<guid>00000000-0000-0000-0000-000000000000</guid>\r
<processor-architecture>x86</processor-architecture>\r
<os-version>5.2</os-version>\r
<os-build-number>3735</os-build-number>\r
<os-product>Windows Server 2003 Enterprise Edition</os-product>\r
<os-service-pack>None</os-service-pack>\r
</machine-info>\r
"""
SERVER_2019 = b"""\r
<?xml>\r
<BP>\r
<INSTANCE CLASSNAME="BLUESCREEN">\r
<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"0xD1"</VALUE></PROPERTY><machine-info>\r
<name>BOX</name>\r
<os-build-number>17763</os-build-number>\r
</machine-info>\r
</INSTANCE>\r
</BP>\r
\r
!SAC>\r
Your PC ran into a problem and needs to restart.\r
If you call a support person, give them this info:\r
DRIVER_IRQL_NOT_LESS_OR_EQUAL\r
\r
myfault.sys\r
\r
0xFFFF800CD3558010\r
0x0000000000000002\r
0x0000000000000000\r
0xFFFFF80211FF12D0\r
\r
We're just collecting some error info, and then we'll restart for you. 0% complete\r
We're just collecting some error info, and then we'll restart for you. 15% complete\r
"""


def test_machine_info_of_2003_is_read():
    assert parse_machine_info(SERVER_2003) == MachineInfo(
        name="NTHEAD-800I-1",
        guid="00000000-0000-0000-0000-000000000000",
        architecture="x86",
        version="5.2",
        build="3735",
        product="Windows Server 2003 Enterprise Edition",
        service_pack="None",
    )


@pytest.mark.parametrize("cut", [SERVER_2003[:-30], b"", b"<machine-info></name>"])
def test_machine_info_that_is_not_whole_is_none(cut):
    assert parse_machine_info(cut) is None


def test_machine_info_leaves_out_what_is_not_known_and_shows_no_control_characters():
    found = parse_machine_info(b"<machine-info><name>a\x1b[2J</name><colour>red</colour></machine-info>")
    assert found == MachineInfo(name=r"a\x1b[2J")


def test_bugcheck_of_2019_is_read_whole():
    found = parse_bugcheck(b"SAC>" + SERVER_2019)
    assert found is not None
    assert (found.code, found.name, found.module) == (0xD1, "DRIVER_IRQL_NOT_LESS_OR_EQUAL", "myfault.sys")
    assert found.parameters == (0xFFFF800CD3558010, 2, 0, 0xFFFFF80211FF12D0)
    assert (found.progress, found.has_prompt) == (15, True)
    assert found.machine is not None
    assert found.machine.build == "17763"
    assert found.title == "0xD1 DRIVER_IRQL_NOT_LESS_OR_EQUAL"


def test_bugcheck_that_ends_with_its_code_has_a_name_from_the_table():
    found = parse_bugcheck(SERVER_2019.partition(b"<machine-info>")[0].replace(b"0xD1", b"0xE2"))
    assert found is not None
    assert (found.title, found.parameters, found.has_prompt) == ("0xE2 MANUALLY_INITIATED_CRASH", (), False)


def test_bugcheck_without_its_xml_is_found_by_its_prompt():
    found = parse_bugcheck(SERVER_2019[SERVER_2019.index(b"!SAC>") :])
    assert found is not None
    assert (found.code, found.name) == (None, "DRIVER_IRQL_NOT_LESS_OR_EQUAL")


def test_bugcheck_ends_where_the_next_boot_begins():
    found = parse_bugcheck(
        SERVER_2019[:300] + b"BdsDxe: loading Boot0001\r\nSTATUS_NAME_OF_ANOTHER\r\n" + SERVER_2003
    )
    assert found is not None
    assert (found.name, found.parameters) == ("DRIVER_IRQL_NOT_LESS_OR_EQUAL", ())


@pytest.mark.parametrize(
    "text", [b"", b"SAC>", SERVER_2003, b"what !SAC> is said to be\r\n", b"EVENT: The CMD"]
)
def test_no_bugcheck_is_found_where_there_is_none(text):
    assert parse_bugcheck(text) is None


@pytest.mark.parametrize(
    ("echo", "index"),
    [
        (b"i", 0),
        (b"\r\nEVENT: The CMD command is now available.\r\nSAC>i", 0),
        (b"\r\nEVENT:   A channel has been closed.\r\nChannel: Cmd0001\r\nSAC>i", 0),
        (b"x", 1),
        (b"\r\nEVENT: The CMD command is now available.\r\nSAC>x", 1),
        (b"\r\nEVENT: it", None),
        (b"\r\n", None),
    ],
)
def test_echo_is_told_from_events_and_from_another_character(echo, index):
    found = [number for number, pattern in enumerate(echo_pattern(b"i")) if pattern.search(echo)]
    assert found == ([] if index is None else [index])


def test_events_have_their_channel():
    said = b'A new channel has been created.  Use "ch -?" for channel help.'
    text = b"SAC>\r\nEVENT:   " + said + b"\r\nChannel: Cmd0006\r\nSAC>"
    assert [found[0] for found in re.finditer(EVENT, text)] == [text.removeprefix(b"SAC>")]


def test_lines_have_no_page_ends_and_no_empty_edges():
    output = b"\r\n\r\none   \r\n----Press <Enter> for more----\r\ntwo\r\n\r\nthree\r\n"
    assert lines_of(output) == (b"one", b"two", b"", b"three")


def screen(*lines, row=None, column=None):
    filled = (*lines, *[""] * (24 - len(lines)))
    row = len(lines) - 1 if row is None else row
    return read_screen(
        filled, row=row, column=len(filled[row]) if column is None else column, profile=load_profile("2022")
    )


@pytest.mark.parametrize(
    ("lines", "showing", "typed"),
    [
        (("SAC>",), Showing.SAC_PROMPT, ""),
        (("SAC>shutd",), Showing.SAC_PROMPT, "shutd"),
        ((r"C:\Windows\system32>dir",), Showing.SHELL, "dir"),
        ((r"PS C:\Windows\system32> ",), Showing.POWERSHELL, ""),
        (("Username: Adm",), Showing.LOGIN, " Adm"),
        (("Domain  :",), Showing.LOGIN, ""),
        (("Password: ***",), Showing.LOGIN, " ***"),
        (("a", "----Press <Enter> for more----"), Showing.PAGE, ""),
        (("", "!SAC>", "Your PC ran into a problem"), Showing.CRASHED, ""),
        (("Press <esc><tab> for next channel.", "x", ""), Showing.HEADER, ""),
        (("Choose an operating system to start, or press TAB to select a tool:", "x"), Showing.MENU, ""),
        (("Advanced Boot Options", "x"), Showing.TOOLS, ""),
        (("It looks like Windows didn't load correctly", "x"), Showing.RECOVERY, ""),
        ((), Showing.NOTHING, ""),
        (("ttylab login: ",), Showing.OTHER, ""),
        (("what a SAC> is",), Showing.OTHER, ""),
    ],
)
def test_screen_is_told(lines, showing, typed):
    picture = screen(*lines) if lines else screen(row=0)
    assert (picture.showing, picture.typed) == (showing, typed)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_a_menu_that_is_told(name):
    profile = load_profile(name)
    choose = profile.texts["menu.choose"].text
    counting = profile.texts["menu.countdown"].text.replace("%d", "7")
    picture = read_screen([choose, "", counting], row=2, column=len(counting), profile=profile)
    assert picture.showing == Showing.MENU


def test_powershell_is_given_as_base64_of_utf16():
    assert encode_powershell('"ä"') == "powershell -encodedCommand IgDkACIA"
