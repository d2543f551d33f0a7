"""A screen never raises, whatever a guest writes."""

from unicodedata import combining

from hypothesis import given
from hypothesis import strategies as st

from harness.play.screen import COLUMNS, ROWS, Screen
from harness.play.session import Session
from tests.support.fake_guest import FakeGuest

PARTS = st.one_of(
    st.binary(max_size=8),
    st.builds(
        lambda numbers, final: b"\x1b[" + numbers + final,
        st.text("0123456789;:?<=> !", max_size=12).map(str.encode),
        st.binary(min_size=1, max_size=1),
    ),
    st.sampled_from(
        [b"\x1bP", b"\x1b\\", b"\x1b]", b"\x1b#8", b"\x1b(", b"\x1b%G", b"\x0e", b"\x1bM", b"\x1bD"]
    ),
)


@given(st.lists(PARTS, max_size=40), st.integers(min_value=1, max_value=9))
def test_screen_takes_any_bytes_in_any_chunks(parts, size):
    guest = FakeGuest()
    screen = Screen(Session(guest))
    data = b"".join(parts)
    for start in range(0, len(data), size):
        guest.say(data[start : start + size])
        with screen.session.expecting(*(alarm.name for alarm in screen.session.listener._alarms)):
            screen.update()
    assert len(screen.lines()) == ROWS
    assert all(sum(not combining(one) for one in line) <= COLUMNS for line in screen.lines())
    assert 0 <= screen.cursor.row < ROWS
    assert 0 <= screen.cursor.column < COLUMNS
    row = screen.highlighted_row()
    assert row is None or 0 <= row < ROWS
