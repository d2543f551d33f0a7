"""Transcripts as rows of HTML."""

import re

from emulator.console.marks import MarkKind
from harness.report.console_html import Span, focus_of, render_console, render_excerpt
from tests.support.report_samples import Guest, make_guest

ROW = re.compile(r'<span class="(?P<css>[^"]*)"(?: data-t="\s*(?P<at>[\d.]+)")?>')


def rows(html: str) -> list[str]:
    return [match["css"] for match in ROW.finditer(html)]


def test_console_shows_marks_and_typed_text_between_the_lines_they_came_between() -> None:
    guest = Guest().says(b"one\r\n").marks(MarkKind.STIMULUS, "nmi")
    guest.clock.advance(0.1)
    guest.types(b"a<b\n").says(b"two\r\n")
    html = render_console(guest.transcript)
    assert rows(html) == ["l", "m stimulus", "m typed", "l"]
    assert "a&lt;b\\n" in html


def test_console_shows_a_mark_inside_a_line_behind_it() -> None:
    guest = Guest().says(b"lo").marks(MarkKind.QMP, "RESET").says(b"gin: ")
    assert rows(render_console(guest.transcript)) == ["l", "m qmp"]


def test_console_says_steps_in_words() -> None:
    guest = Guest().marks(MarkKind.STEP, "begin", {"index": 1, "step": "reach <shell>", "from": 0})
    guest.marks(MarkKind.STEP, "end", {"index": 1, "outcome": "done"}).marks(
        MarkKind.STEP, "end", {"index": 2}
    )
    html = render_console(guest.transcript)
    assert "<b>step</b> 2 begins: reach &lt;shell&gt;</span>" in html
    assert "<b>step</b> 2 ends: done</span>" in html
    assert "<b>step</b> 3 ends</span>" in html


def test_console_gives_each_line_the_time_of_its_first_byte() -> None:
    guest = Guest().says(b"a\nb", b"c\nd\n", every_s=1.0)
    times = [match["at"] for match in ROW.finditer(render_console(guest.transcript))]
    assert times == ["1.000", "1.000", "2.000"]


def test_console_lights_up_the_lines_of_a_span_and_no_others() -> None:
    guest = Guest().says(b"one\n", b"two\n", b"three\n")
    html = render_console(guest.transcript, [Span(start=5, end=9, css="hit")])
    assert rows(html) == ["l", "l hit", "l hit"]
    empty = render_console(guest.transcript, [Span(start=5, end=5, css="hit")])
    assert rows(empty) == ["l", "l", "l"]


def test_console_has_an_anchor_where_each_span_begins_and_an_excerpt_none() -> None:
    guest = Guest().says(b"one\ntwo\n")
    spans = [
        Span(start=5, end=6, css="found"),
        Span(start=5, end=8, css="hit"),
        Span(start=4, end=4, css="hit"),
    ]
    assert re.findall(r'<a id="([^"]+)">', render_console(guest.transcript, spans)) == ["b5"]
    assert "<a" not in render_excerpt(guest.transcript, spans[1], spans)


def test_console_of_a_flood_shows_both_ends_and_says_what_is_left_out() -> None:
    guest = Guest().says(*(b"line %04d\n" % n for n in range(1000)))
    html = render_console(guest.transcript, limit=3000)
    assert "line 0000" in html
    assert "line 0999" in html
    assert "line 0500" not in html
    left_out = 10_000 - 10 * html.count(">line ")
    assert f"{left_out} of 10000 bytes are left out here" in html


def test_console_of_one_endless_line_is_cut_too() -> None:
    guest = Guest().says(b"x" * 400_000)
    assert len(render_console(guest.transcript, limit=300_000)) < 310_000


def test_excerpt_shows_a_dozen_lines_before_and_a_few_behind() -> None:
    guest = Guest().says(*(b"line %04d\n" % n for n in range(1000)))
    html = render_excerpt(guest.transcript, Span(start=5000, end=5010, css="hit"))
    assert re.findall(r"line (\d{4})", html) == [f"{n:04}" for n in range(488, 505)]


def test_excerpt_at_the_end_shows_the_last_lines() -> None:
    guest = Guest().says(*(b"line %04d\n" % n for n in range(100)))
    html = render_excerpt(guest.transcript, focus_of([], guest.transcript))
    assert "line 0099" in html
    assert "line 0080" not in html


def test_excerpt_of_a_silent_guest_shows_its_marks() -> None:
    guest = Guest().marks(MarkKind.MACHINE, "running")
    assert rows(render_excerpt(guest.transcript, focus_of([], guest.transcript))) == ["m machine"]


def test_focus_prefers_the_last_hit_then_the_first_find() -> None:
    guest = make_guest()
    found, early, late = (
        Span(start=n, end=n + 1, css=css) for n, css in ((9, "found"), (1, "hit"), (5, "hit"))
    )
    assert focus_of([found, early, late], guest.transcript) == late
    assert focus_of([found], guest.transcript) == found
    assert focus_of([], guest.transcript).start == len(guest.transcript)
