"""Console bytes as HTML and as tame text."""

import pytest
from rich.style import Style

from harness.report.console_html import apply_sgr, classes_of, plain, render_lines, tame


def html(data: bytes) -> list[str]:
    return [line.html for line in render_lines(data)]


def test_lines_carry_their_spans_and_tile_the_data() -> None:
    lines = list(render_lines(b"a\r\nb\n\nc", start=10))
    assert [(line.start, line.end, line.html) for line in lines] == [
        (10, 13, "a"),
        (13, 15, "b"),
        (15, 16, ""),
        (16, 17, "c"),
    ]


def test_lines_quote_what_html_would_obey() -> None:
    assert html(b"<script>&\"'") == ["&lt;script&gt;&amp;&quot;&#x27;"]


def test_lines_show_controls_instead_of_obeying_them() -> None:
    (line,) = html(b"\x07\x1b[2Jx\rtab\tend\x00")
    assert line == (
        '<i class="ctl">\\x07</i><i class="ctl">\\x1b[2J</i>x<i class="ctl">\\r</i>tab\tend'
        '<i class="ctl">\\x00</i>'
    )


def test_lines_show_bytes_that_are_no_utf8_and_marks_that_turn_writing() -> None:
    assert html(b"\xff \xe2\x80\xae \xc3\xa9") == ["\\xff \\u202e é"]


def test_lines_hold_a_window_title_in_one_control() -> None:
    assert html(b"\x1b]0;<b>\x07x") == ['<i class="ctl">\\x1b]0;&lt;b&gt;\\x07</i>x']


def test_colours_last_over_line_ends_until_reset() -> None:
    assert html(b"\x1b[1;31mred\nstill\x1b[0m off") == [
        '<span class="bold f-red">red</span>',
        '<span class="bold f-red">still</span> off',
    ]


@pytest.mark.parametrize(
    ("sequence", "classes"),
    [
        (b"\x1b[32m", "f-green"),
        (b"\x1b[97m", "f-bright-white"),
        (b"\x1b[44m", "b-blue"),
        (b"\x1b[102m", "b-bright-green"),
        (b"\x1b[38;5;1;4m", "under f-red"),
        (b"\x1b[48;5;12m", "b-bright-blue"),
        (b"\x1b[38;5;200m", ""),
        (b"\x1b[38;2;1;31;4;7m", "reverse"),
        (b"\x1b[38m", ""),
        (b"\x1b[999m", ""),
        (b"\x1b[31;39m", ""),
        (b"\x1b[41;49m", ""),
        (b"\x1b[1;2;22m", ""),
        (b"\x1b[31m\x1b[m", ""),
    ],
)
def test_sgr_gives_the_classes(sequence: bytes, classes: str) -> None:
    style = Style()
    for part in sequence.split(b"m")[:-1]:
        style = apply_sgr(style, part + b"m")
    assert classes_of(style) == classes


def test_tame_keeps_lines_and_colours_and_nothing_else() -> None:
    assert tame(b"\x1b[31mx\x1b[0m\r\n\x1b[2J\ty\\") == "\x1b[31mx\x1b[0m\n\\x1b[2J\ty\\\\"


def test_plain_keeps_lines_only() -> None:
    assert plain(b"\x1b[31mx\r\ny\x00") == "\\x1b[31mx\ny\\x00"
