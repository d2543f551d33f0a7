"""Bytes of a link and marks of a timeline join to what the guest did, however both are cut and late."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.console.marks import MarkKind
from emulator.errors import SpecError
from harness.azure.interleave import Interleaver, Notice, TimelineMark

NOTICE = b"\r\nThe virtual machine is being stopped.\r\n"
RESET = TimelineMark(kind=MarkKind.QMP, name="RESET", detail={})


def out(data: bytes) -> dict:
    return {"t": 0.0, "out": [0, len(data)], "data": base64.b64encode(data).decode()}


def mark(kind: str = "qmp", name: str = "RESET") -> dict:
    return {"t": 0.0, "at": 0, "mark": kind, "name": name, "detail": {}}


def joined(pieces: list) -> list:
    """Return pieces with neighbouring bytes as one."""
    found: list = []
    for piece in pieces:
        if isinstance(piece, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += piece
        else:
            found.append(piece)
    return found


@given(
    parts=st.lists(st.binary(max_size=20), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    order=st.lists(st.booleans(), max_size=60),
)
def test_marks_stand_where_they_were_set(parts, cuts, order):
    text = b"".join(parts).decode("utf-8", "replace").encode()
    lines = [line for part in parts for line in (out(part), mark())]
    frames, at, turn = [], 0, 0
    while at < len(text):
        size = cuts[turn % len(cuts)]
        frames.append(text[at : at + size])
        at, turn = at + size, turn + 1
    one, pieces = Interleaver(), []
    for timeline_first in [*order, *[True] * len(lines), *[False] * len(frames)]:
        if timeline_first and lines:
            pieces += one.take_line(lines.pop(0))
        elif not timeline_first and frames:
            pieces += one.take_frame(frames.pop(0))
    whole = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    assert text.startswith(whole)
    assert len(text) - len(whole) <= 3 + max(cuts)  # the beginning of a character waits for its end
    assert [piece for piece in pieces if not isinstance(piece, bytes)] in (
        [RESET] * n for n in range(len(parts) + 1)
    )


def test_mark_stands_between_the_bytes_of_one_frame():
    one = Interleaver()
    assert list(one.take_frame(b"oldnew")) == []
    pieces = [piece for line in (out(b"old"), mark(), out(b"new")) for piece in one.take_line(line)]
    assert joined(pieces) == [b"old", RESET, b"new"]
    assert one.waiting == 0


@pytest.mark.parametrize("first", ["frame", "line"])
def test_notice_of_the_service_is_told_from_the_guests_bytes(first):
    one = Interleaver()
    steps = [
        lambda: one.take_frame(NOTICE),
        lambda: one.take_line(out(b"\r\nThe guest writes on.\r\nand on and on")),
    ]
    pieces = [piece for step in (steps if first == "frame" else steps[::-1]) for piece in step()]
    pieces += one.take_frame(b"\r\nThe guest writes on.\r\n")
    assert pieces == [Notice(text=NOTICE), b"\r\nThe guest writes on.\r\n"]


def test_bookkeeping_of_the_service_is_left_out():
    one = Interleaver()
    lines = (mark("link", "connected"), mark("stimulus", "nmi"), mark("machine", "off"))
    assert [piece for line in lines for piece in one.take_line(line)] == [
        TimelineMark(kind=MarkKind.MACHINE, name="off", detail={})
    ]


@pytest.mark.parametrize(
    "line", [{"out": [0, 1]}, {"out": [0, 1], "data": 5}, {"mark": "new"}, {"mark": "qmp"}]
)
def test_line_that_is_none_is_refused(line):
    with pytest.raises(SpecError, match="timeline"):
        Interleaver().take_line(line)
