"""Boots read off the wire: each once, by its first sign, and neither a redraw nor a bugcheck is one."""

import pytest

from emulator.guest_text.sac import find_boots

INFO = b"<?xml>\r\n<machine-info>\r\n<name>A</name>\r\n</machine-info>\r\n"
BANNER = b"Computer is booting, SAC started and initialized.\r\n"
MENU = b"\x1b[2J\x1b[1;1H\x1b[0m\x1b[37;40mWindows Boot Manager"
FIRMWARE = b"BdsDxe: loading Boot0001\r\nBdsDxe: starting Boot0001\r\n"
BUGCHECK = (
    b'<?xml>\r\n<BP>\r\n<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY></PROPERTY><machine-info>\r\n'
    b"</machine-info>\r\n</INSTANCE>\r\n</BP>\r\n!SAC>\r\n"
)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"", []),
        (BANNER, []),
        (INFO + BANNER, ["machine-info"]),
        (FIRMWARE + MENU + INFO, ["BdsDxe"]),
        (MENU + MENU + INFO, ["boot manager"]),
        (INFO + BUGCHECK, ["machine-info"]),
        (INFO + BUGCHECK + INFO, ["machine-info", "machine-info"]),
        (BUGCHECK[: BUGCHECK.index(b"</INSTANCE>")], []),
        (BUGCHECK, []),
        (INFO + b"SAC>" + FIRMWARE, ["machine-info", "BdsDxe"]),
        (INFO + FIRMWARE + MENU + INFO + INFO, ["machine-info", "BdsDxe", "machine-info"]),
    ],
)
def test_boots_are_found_by_their_first_signs(data, names):
    assert [one.name for one in find_boots(data)] == names


def test_boot_starts_with_its_sign():
    (first, second) = find_boots(b"noise" + INFO + BUGCHECK + MENU + INFO)
    assert first.start == 5
    assert second.start == 5 + len(INFO + BUGCHECK)
