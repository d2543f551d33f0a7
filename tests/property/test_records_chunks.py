"""Laws of the kernel-record splitter: nothing lost, nothing invented, whatever the chunks."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emulator.guest_text.records import RecordSplitter, Segment, UserView

PIECES = st.sampled_from([
    b"[    1.234567] usb 1-1\r\n", b"<6>[   12.000001][    T1] x\n", b"[12345.678901]", b"login: ",
    b"[root@h ~]# ", b"[  OK  ] Started\r\n", b"[1] 12\r\n", b"[", b"<", b"<6>", b"[    ", b".123", b"\r\n",
    b"\n", b"123456", b"]",
])  # fmt: skip
STREAMS = st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=25).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=30)


def chunks(data, cuts):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in pairwise(places)]


def merged(segments):
    result = []
    for segment in segments:
        grows = bool(result) and result[-1].kind == segment.kind and result[-1].end == segment.start
        start = result.pop().start if grows else segment.start
        result.append(Segment(kind=segment.kind, start=start, end=segment.end))
    return result


def split(parts):
    splitter = RecordSplitter()
    return [segment for part in parts for segment in splitter.feed(part)] + splitter.flush()


@given(data=STREAMS, cuts=CUTS)
def test_segments_do_not_depend_on_chunks(data, cuts):
    assert merged(split(chunks(data, cuts))) == merged(split([data]))


@given(data=STREAMS, cuts=CUTS)
def test_segments_tile_the_stream(data, cuts):
    places = [(segment.start, segment.end) for segment in split(chunks(data, cuts))]
    assert [start for start, _ in places] + [len(data)] == [0, *(end for _, end in places)]
    assert all(start < end for start, end in places)


@given(data=STREAMS)
def test_kernel_segments_are_what_the_definition_says(data):
    head = rb"(?:<\d{1,3}>)?\[(?:    \d|   \d\d|  \d{3}| \d{4}|\d{5,10})\.\d{6}\]"
    spans = [match.span() for match in re.finditer(head + rb"[^\n]*\n?", data)]
    kernel = {at for s in split([data]) if s.kind == "kernel" for at in range(s.start, s.end)}
    assert kernel == {at for start, end in spans for at in range(start, end)}


@given(data=STREAMS, cuts=CUTS)
def test_user_view_is_the_stream_without_the_kernel_and_maps_back(data, cuts):
    view = UserView()
    for chunk in chunks(data, cuts):
        view.feed(chunk)
    view.flush()
    user = [segment for segment in split([data]) if segment.kind == "user"]
    assert view.read(0) == b"".join(data[s.start : s.end] for s in user)
    for at in range(len(view)):
        start, end = view.raw_span(at, at + 1)
        assert (data[start:end], view.user_offset(start)) == (view.read(at, at + 1), at)


@given(data=STREAMS)
def test_held_bytes_are_never_more_than_a_head(data):
    splitter = RecordSplitter()
    splitter.feed(data)
    assert sum(held.end - held.start for held in splitter.flush()) < 24
