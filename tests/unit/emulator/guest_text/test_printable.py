"""Tests of emulator/guest_text/printable.py: no guest byte reaches a terminal as it is."""

import pytest

from emulator.guest_text.printable import escape, without_questions


@pytest.mark.parametrize(
    "question",
    [
        *(b"\x05", b"\x1bZ", b"\x1b[c", b"\x1b[>0c", b"\x1b[6n", b"\x1b[?6n", b"\x1b[x", b"\x1b[?2004$p"),
        *(b"\x1b[18t", b"\x1b]11;?\x07", b"\x1b]4;1;?\x1b\\", b"\x1bP$qm\x1b\\"),
    ],
)
def test_text_without_questions_makes_no_terminal_answer_and_keeps_all_else(question):
    rest = b"\x00\xff\x1b[1;31mred\x1b[0m\x1b[2J\x1b]0;t\x07\x1b[?25h 6n c Z\x1b[22t"
    assert without_questions(b"root@a:~# " + question + rest) == b"root@a:~# " + rest


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
