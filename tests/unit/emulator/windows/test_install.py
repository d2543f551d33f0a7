"""What an installation hears: marks on COM2, and what ends all hope."""

from pathlib import Path

import pytest

from emulator.errors import ImageError
from emulator.windows.install import is_ready, require_hope, stages_in

WHERE = Path("/evidence")


@pytest.mark.parametrize(
    ("said", "stages", "ready"),
    [
        (b"", (), False),
        (b"IMAGE-STAGE setup\r\n", ("setup",), False),
        (b"IMAGE-STAGE a \r\nIMAGE-STAGE first-logon\r\nIMAGE-READY \r\n", ("a", "first-logon"), True),
        (b"\x1b[2J\x1b[01;01HIMAGE-STAGE setup\r\n\x1b[0mIMAGE-READY\r\n", ("setup",), True),
        (b"IMAGE-STAGE set", (), False),
        (b"no-IMAGE-READY\r\nIMAGE-READY?\r\nNOT IMAGE-READY yet\r\n", (), False),
        (b"IMAGE-STAGE \x1b[31mred\r\n", (), False),
    ],
)
def test_marks_are_heard(said, stages, ready):
    assert (stages_in(said), is_ready(said)) == (stages, ready)


@pytest.mark.parametrize(
    ("marks", "console", "text"),
    [
        ({"BLOCK_IO_ERROR"}, b"", "a disk can't be written: the host's is full, or failed; see /evidence"),
        (set(), b"BdsDxe: No bootable option or device was found.", "nothing boots"),
        (set(), b"UEFI Interactive Shell v2.2", "nothing boots"),
        (set(), b"No bootable device.", "nothing boots"),
    ],
)
def test_what_ends_all_hope_is_told(marks, console, text):
    with pytest.raises(ImageError) as caught:
        require_hope(marks, console, where=WHERE)
    assert text in str(caught.value)


def test_what_ends_no_hope_is_not():
    require_hope({"RESET", "STOP", "RESUME"}, b"BdsDxe: failed to load Boot0001", where=WHERE)
