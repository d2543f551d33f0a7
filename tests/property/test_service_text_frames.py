"""Text frames give the same text however the bytes are cut, and no frame holds half a character."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from emulator.service.console import gateway


class Ends:
    """Both ends of a link's output: a guest that writes `parts`, and a client that keeps its frames."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = [part for part in parts if part]
        self.frames: list[str] = []

    async def read(self) -> bytes:
        return self.parts.pop(0) if self.parts else b""

    async def send_text(self, text: str) -> None:
        self.frames.append(text)


async def at_once(seconds: float) -> None:
    """Let no time pass."""


def frames_of(past: bytes, parts: Iterable[bytes]) -> list[str]:
    ends = Ends(parts)
    with patch.object(gateway, "pause", at_once):
        asyncio.run(gateway._send_output(ends, ends, past, count=lambda _: None))
    return ends.frames


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_frames_join_to_the_decoded_stream(data, cuts):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    past, *parts = [data[a:b] for a, b in pairwise(places)] or [b""]
    assert "".join(frames_of(past, parts)) == data.decode("utf-8", "replace")


@given(st.text(max_size=100), st.integers(1, 5))
def test_each_frame_can_be_encoded_and_nothing_is_replaced(text, size):
    data = text.encode()
    frames = frames_of(b"", (data[at : at + size] for at in range(0, len(data), size)))
    assert "".join(frames) == text
    for frame in frames:
        frame.encode()
