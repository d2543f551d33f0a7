"""The way back from text to the stream that it was taken from."""

import pytest

from emulator.guest_text.records import StreamView


class Capitals(StreamView):
    """Capital letters as they are, digits as two bytes, and nothing else."""

    def feed(self, data):
        for raw, byte in enumerate(data, start=self._decided):
            text = bytes([byte])
            shown = text if text.isupper() else text + b"!" if text.isdigit() else b""
            self._append(shown, raw, raw + 1)
        return self


@pytest.mark.parametrize(
    ("start", "end", "raw"),
    [
        (0, 2, (102, 104)),
        (1, 3, (103, 107)),  # over what is no text
        (3, 5, (107, 108)),  # two bytes that stand for one
        (4, 5, (107, 108)),
        (2, 2, (106, 106)),
        (5, 5, (108, 108)),
    ],
)
def test_span_of_text_has_its_span_in_the_stream(start, end, raw):
    view = Capitals(start=100).feed(b"..AB..C7..")
    assert view.read(0) == b"ABC7!"
    assert view.raw_span(start, end) == raw


@pytest.mark.parametrize(
    ("raw", "offset"), [(0, 0), (102, 0), (104, 2), (106, 2), (107, 3), (108, 5), (999, 5)]
)
def test_offset_is_that_of_the_first_text_from_there_on(raw, offset):
    assert Capitals(start=100).feed(b"..AB..C7..").user_offset(raw) == offset


def test_view_without_text_is_where_its_stream_has_come_to():
    view = Capitals(start=100)
    assert (view.raw_span(0, 0), view.user_offset(105)) == ((100, 100), 0)
    assert view.feed(b"...").raw_span(0, 0) == (103, 103)


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (1, 0), (0, 3)])
def test_span_outside_of_the_text_is_refused(start, end):
    with pytest.raises(IndexError, match="not inside the text of 2 bytes"):
        Capitals().feed(b"AB").raw_span(start, end)
