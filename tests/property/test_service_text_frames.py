"""Text frames give the same text however the bytes are cut, and no frame holds half a character."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emulator.service.console.link_life import TextFrames


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_frames_join_to_the_decoded_stream(data, cuts):
    frames = TextFrames()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[a:b] for a, b in pairwise(places)]
    text = "".join(frames.feed(part) for part in parts) + frames.finish()
    assert text == data.decode("utf-8", "replace")


@given(st.text(max_size=100), st.integers(1, 5))
def test_each_frame_can_be_encoded_and_nothing_is_replaced(text, size):
    frames, data = TextFrames(), text.encode()
    shown = [frames.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert "".join(shown) == text
    for frame in shown:
        frame.encode()
