"""Whatever bytes come, nothing of them acts."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from emulator.guest_text.printable import escape
from harness.report.console_html import render_lines, tame

BYTES = st.binary(max_size=300) | st.lists(
    st.sampled_from([*b"\x1b [ 31m ]0; \x07 <b> \xe2\x80 \x9b m &".split(), b"\n", b"\r"])
).map(b"".join)
TAG = re.compile(r'<span class="[a-z -]+">|</span>|<i class="ctl">|</i>')


@given(BYTES)
def test_html_holds_no_tag_but_ours_and_no_control(data: bytes) -> None:
    for line in render_lines(data):
        rest = TAG.sub("", line.html)
        assert "<" not in rest
        assert ">" not in rest
        assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f]", rest)


@given(BYTES)
def test_lines_tile_the_data(data: bytes) -> None:
    spans = [(line.start, line.end) for line in render_lines(data, start=7)]
    ends = [7, *(end for _, end in spans)]
    assert [start for start, _ in spans] == ends[:-1]
    assert ends[-1] == 7 + len(data)


@given(st.binary(max_size=200).filter(lambda data: b"\x1b" not in data))
def test_no_byte_is_dropped_silently(data: bytes) -> None:
    shown = [unescape(TAG.sub("", line.html)) for line in render_lines(data)]
    lines = data.split(b"\n")[: len(shown)]
    assert [text.replace("\t", "\\t") for text in shown] == [escape(line.rstrip(b"\r")) for line in lines]


@given(BYTES)
def test_tame_text_holds_no_escape_but_colours(data: bytes) -> None:
    rest = re.sub(r"\x1b\[[0-9;:]*m", "", tame(data))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", rest)
