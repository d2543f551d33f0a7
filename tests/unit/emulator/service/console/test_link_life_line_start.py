"""A late reader begins where a person would."""

import pytest

from emulator.service.console.link_life import line_start


@pytest.mark.parametrize(
    ("data", "lines", "start"),
    [
        (b"login: ", 1, 0),
        (b"one\r\ntwo\r\nthree: ", 1, 10),
        (b"one\r\ntwo\r\nthree: ", 2, 5),
        (b"one\r\ntwo\r\nthree: ", 9, 0),
        (b"one\r\ntwo\r\n", 1, 10),
        (b"one\r\ntwo\r\n", 0, 10),
        (b"\xa9 rest of a character", 1, 1),
        (b"", 1, 0),
    ],
)
def test_late_reader_begins_at_a_line_or_at_a_character(data, lines, start):
    assert line_start(data, lines=lines) == start
