"""Tests of emulator/guest_text/records.py: which bytes are the kernel's."""

import pytest

from emulator.guest_text.records import RecordSplitter, Segment, UserView


def user_text(data: bytes) -> bytes:
    view = UserView()
    view.feed(data)
    view.flush()
    return view.read(0)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"lo[    2.948528] scsi host0\r\ngin: ", b"login: "),
        (b"[    0.000000] Linux version 6.1\r\n", b""),
        (b"bookworm login: [   12.345678] foo\r\n", b"bookworm login: "),
        (b"a\r\n[   12.345678] foo\r\nb\r\n", b"a\r\nb\r\n"),
        (b"<6>[   12.345678][   T12] foo\r\nb", b"b"),
        (b"[   12.345678][    C0] foo\nb", b"b"),
        (b"x[   12.345678] foo\r\n[   12.345679] bar\r\ny", b"xy"),
        (b"x[12345.678901] \r\ny", b"xy"),
        (b"x[1234567.678901] uptime of days\r\ny", b"xy"),
    ],
)
def test_user_view_rejoins_text_around_records(raw, expected):
    assert user_text(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"[root@host ~]# ",
        b"[  OK  ] Started Getty on tty1.\r\n",
        b"[1] 123\r\n",
        b"[    1.23] too few digits\r\n",
        b"[ 1.234567] not the kernel's width\r\n",
        b"a < b [0]\r\n",
        b"[[[[<<<<",
    ],
)
def test_user_view_keeps_text_that_only_resembles_a_record(raw):
    assert user_text(raw) == raw


def test_splitter_gives_spans_in_raw_offsets():
    splitter = RecordSplitter(start=100)
    assert splitter.feed(b"lo[    2.948528] x\r\ngin") == [
        Segment(kind="user", start=100, end=102),
        Segment(kind="kernel", start=102, end=120),
        Segment(kind="user", start=120, end=123),
    ]


def test_splitter_holds_what_may_become_a_record():
    splitter = RecordSplitter()
    assert splitter.feed(b"login: [   1") == [Segment(kind="user", start=0, end=7)]
    assert splitter.flush() == [Segment(kind="user", start=7, end=12)]


def test_splitter_releases_held_bytes_when_they_are_no_record():
    splitter = RecordSplitter()
    splitter.feed(b"[   1")
    assert splitter.feed(b"x") == [Segment(kind="user", start=0, end=6)]
    assert splitter.flush() == []


def test_splitter_flush_gives_held_bytes_as_user_text():
    splitter = RecordSplitter()
    splitter.feed(b"a[")
    assert splitter.flush() == [Segment(kind="user", start=1, end=2)]
    assert splitter.flush() == []


def test_splitter_keeps_record_open_until_its_line_end_arrives():
    splitter = RecordSplitter()
    splitter.feed(b"[    1.000000] long")
    assert splitter.feed(b" text\r\nuser") == [
        Segment(kind="kernel", start=19, end=26),
        Segment(kind="user", start=26, end=30),
    ]


def test_user_view_maps_back_to_raw_offsets_across_a_record():
    view = UserView(start=10)
    view.feed(b"lo[    2.948528] x\r\ngin: ")
    assert view.raw_span(0, 7) == (10, 35)
    assert view.raw_span(0, 2) == (10, 12)
    assert view.raw_span(2, 3) == (30, 31)
    assert view.raw_span(7, 7) == (35, 35)
    assert view.raw_span(2, 2) == (30, 30)


def test_user_view_finds_user_offset_of_raw_place():
    view = UserView(start=10)
    view.feed(b"lo[    2.948528] x\r\ngin: ")
    assert [view.user_offset(raw) for raw in (0, 10, 11, 15, 30, 35, 99)] == [0, 0, 1, 2, 2, 7, 7]


def test_user_view_is_empty_before_the_first_byte():
    view = UserView(start=5)
    assert (len(view), view.raw_span(0, 0), view.user_offset(9)) == (0, (5, 5), 0)


def test_user_view_refuses_span_outside_its_text():
    view = UserView()
    view.feed(b"ab")
    with pytest.raises(IndexError, match="not inside the text of 2 bytes"):
        view.raw_span(0, 3)
