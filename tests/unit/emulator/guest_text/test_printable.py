"""Tests of emulator/guest_text/printable.py: no guest byte reaches a terminal as it is."""

import pytest

from emulator.guest_text.printable import escape


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain", "plain"),
        ("Gr\u00fc\u00dfe \u2713".encode(), "Gr\u00fc\u00dfe \u2713"),
        (b"a\r\nb\tc", "a\\r\\nb\\tc"),
        (b"\x1b[2J\x00\x7f", "\\x1b[2J\\x00\\x7f"),
        (b"\xff\x80", "\\xff\\x80"),
        ("\x9b31m".encode(), "\\x9b31m"),
        ("\u202eevil".encode(), "\\u202eevil"),
        (b"back\\slash", "back\\\\slash"),
    ],
)
def test_escape_shows_every_control_character(data, shown):
    assert escape(data) == shown
