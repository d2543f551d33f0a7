"""Text without escape sequences: chunks never matter, every byte has a raw place, lines are lines."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.play.screen import Screen
from harness.play.session import Session
from harness.play.views import PlainView
from tests.support.fake_guest import FakeGuest

PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"\x1b[2J", b"\x1b[H", b"\x1b[3;7H", b"\x1b[24;1H", b"\x1b[0;1;33m", b"\x1b[A", b"\x1b[5D",
                b"SAC>", b"\x1b", b"\x1b[", b"\x1b]0;title\x07", b"\x1b(B", b"\xc3\xa4", b"\x08 \x08",
                b"\r\n", b"x" * 81,
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=20,
).map(b"".join)  # fmt: skip
CUTS = st.lists(st.integers(min_value=0, max_value=300), max_size=12)


def view_of(*chunks, start=0):
    view = PlainView(start=start)
    for chunk in chunks:
        view.feed(chunk)
    return view


def pieces(data, cuts):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(places)]


@given(data=PIECES, cuts=CUTS)
def test_text_is_the_same_whatever_the_chunks(data, cuts):
    whole, cut = view_of(data), view_of(*pieces(data, cuts))
    assert whole.read(0) == cut.read(0)
    assert [whole.raw_span(n, n + 1) for n in range(len(whole))] == [
        cut.raw_span(n, n + 1) for n in range(len(cut))
    ]


@given(data=PIECES, start=st.integers(min_value=0, max_value=1000))
def test_every_byte_of_text_has_a_place_in_the_raw_bytes_in_order(data, start):
    view = view_of(data, start=start)
    spans = [view.raw_span(n, n + 1) for n in range(len(view))]
    assert all(start <= first < end <= start + len(data) for first, end in spans)
    assert spans == sorted(spans)


@given(data=PIECES)
def test_what_was_consumed_is_not_given_again(data):
    view = view_of(data)
    for end in range(1, len(view) + 1):
        following = view.user_offset(view.raw_span(end - 1, end)[1])
        assert following >= end
        assert not view.read(end, following).strip(b" \x08")  # of one move, if anything


@given(data=st.binary(max_size=200).map(lambda data: data.replace(b"\x1b", b"")), cuts=CUTS)
def test_text_without_escape_sequences_is_left_as_it_is(data, cuts):
    assert view_of(*pieces(data, cuts)).read(0) == data


@given(rows=st.lists(st.from_regex(r"[ -~]{80}", fullmatch=True), min_size=24, max_size=24))
def test_a_redrawn_screen_reads_as_its_rows(rows):
    drawn = b"\x1b[2J\x1b[1;1H" + b"".join(
        b"\x1b[%d;1H%s" % (number, row.encode()) for number, row in enumerate(rows, start=1)
    )
    assert view_of(drawn).read(0).decode().split("\r\n") == rows


def test_moves_along_the_row_become_blanks_and_backspaces():
    assert view_of(b"ab\x1b[1;6Hc\x1b[1;2Hd").read(0) == b"ab   c\x08\x08\x08\x08\x08d"
    assert view_of(b"ab\x1b[3C.\x1b[2D!").read(0) == b"ab   .\x08\x08!"


def test_an_echo_that_is_addressed_cell_by_cell_reads_as_the_word():
    assert view_of(b"\x1b[5;1HC:\\>\x1b[5;5Hd\x1b[5;6Hi\x1b[5;7Hr").read(0) == b"\r\nC:\\>dir"


SHOWN = [b"login: ", b"[    1.0] x", b"\r\n", b"4:3m", b"\xc3\xa4", b"\xe2\x80\x8b", b"0;t"]
HIDDEN = [
    b"\x1b[4:3m", b"\x1b[!p", b"\x1b[?7h", b"\x1b[<u", b"\x1b[=c", b"\x1b[2$~", b"\x1b]104\x07",
    b"\x1b]3008;start=" + b"x" * 3000 + b"\x1b\\", b"\x1bP1$r\x1b\\", b"\x1b_a\x07", b"\x1b^p\x1b\\",
    b"\x1b]R", b"\x1b(B", b"\x1b%G", b"\x0e", b"\x0f", b"\x00", b"\x1b]0;t\x18", b"\x1b[3\x1a", b"\x1bXs\x07",
]  # fmt: skip


@given(
    parts=st.lists(st.sampled_from(SHOWN + HIDDEN), max_size=12), size=st.integers(min_value=1, max_value=40)
)
def test_a_screen_shows_the_text_of_the_view(parts, size):
    data = b"".join(parts)
    guest = FakeGuest()
    screen = Screen(Session(guest))
    for start in range(0, len(data), size):
        guest.say(data[start : start + size])
        screen.update()
    text = view_of(data).read(0).decode().replace("\0", "").replace("\u200b", "")
    text = "".join(character for character in text if character not in "\x0e\x0f")
    assert [line for line in screen.lines() if line] == [
        line.rstrip() for line in text.split("\r\n") if line.rstrip()
    ]
