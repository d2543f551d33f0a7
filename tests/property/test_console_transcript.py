"""Laws of transcripts and cursors under any chunking and interleaving."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.console.channel import Cursor
from emulator.console.marks import MarkKind
from emulator.console.outgoing import LinkFlow, OutgoingQueue
from emulator.console.transcript import (
    CONSOLE_FILE,
    TIMELINE_FILE,
    DirectorySink,
    Transcript,
    load_transcript,
)
from tests.support.fake_clock import FakeClock

PIECES = st.lists(st.binary(max_size=20), max_size=12)
MARKS = st.tuples(
    st.sampled_from(MarkKind), st.text(max_size=5), st.dictionaries(st.text(max_size=3), st.integers())
)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("out"), st.binary(max_size=20)),
        st.tuples(st.just("in"), st.binary(max_size=20)),
        st.tuples(st.just("mark"), MARKS),
        st.tuples(st.just("pass"), st.floats(min_value=0, max_value=1e4)),
    ),
    max_size=20,
)


def play(transcript: Transcript, clock: FakeClock, events) -> None:
    for kind, value in events:
        if kind == "out":
            transcript.append(value)
        elif kind == "in":
            transcript.append_typed(value)
        elif kind == "mark":
            transcript.mark(*value)
        else:
            clock.advance(value)


def rounded(stamped):
    return [
        (round(one.at, 6), *(getattr(one, name) for name in one.__slots__ if name != "at")) for one in stamped
    ]


@given(PIECES)
def test_chunks_tile_the_stream_whatever_the_pieces(pieces):
    transcript = Transcript(clock=FakeClock())
    for piece in pieces:
        transcript.append(piece)
    bounds = [0, *(chunk.end for chunk in transcript.chunks)]
    assert [chunk.start for chunk in transcript.chunks] == bounds[:-1]
    assert bounds[-1] == len(transcript)
    assert transcript.read() == b"".join(pieces)


@given(EVENTS)
@settings(max_examples=40)
def test_loaded_transcript_equals_the_kept_one_whatever_happened(events):
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as directory:
        sink = DirectorySink(Path(directory), console="ttyS0")
        with Transcript(clock=clock, sink=sink) as kept:
            play(kept, clock, events)
        loaded = load_transcript(Path(directory))
    assert (loaded.read(), loaded.truncated) == (kept.read(), None)
    assert rounded(loaded.chunks) == rounded(kept.chunks)
    assert rounded(loaded.typed) == rounded(kept.typed)
    assert rounded(loaded.marks) == rounded(kept.marks)


@given(EVENTS, st.data())
@settings(max_examples=60)
def test_transcript_cut_anywhere_is_truncated(events, data):
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as directory:
        with Transcript(clock=clock, sink=DirectorySink(Path(directory), console="ttyS0")) as kept:
            play(kept, clock, [*events, ("out", b"last")])
        path = Path(directory) / data.draw(st.sampled_from([TIMELINE_FILE, CONSOLE_FILE]))
        whole = path.read_bytes()
        first = whole.index(b"\n") + 1 if path.name == TIMELINE_FILE else 0
        # The last line without its line end is still whole.
        path.write_bytes(whole[: data.draw(st.integers(first, len(whole) - 2 if first else len(whole) - 1))])
        assert load_transcript(Path(directory)).truncated is not None


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_garbage_after_the_first_line_never_raises(garbage):
    with tempfile.TemporaryDirectory() as directory:
        with Transcript(sink=DirectorySink(Path(directory), console="ttyS0")) as kept:
            kept.append(b"bytes")
        path = Path(directory) / TIMELINE_FILE
        path.write_bytes(path.read_bytes().splitlines()[0] + b"\n" + garbage)
        assert load_transcript(Path(directory)).truncated is not None


@given(
    st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.tuples(st.integers(0, 3), st.integers(1, 9))))
)
def test_cursors_give_the_same_bytes_whatever_the_interleaving(steps):
    transcript = Transcript(clock=FakeClock())
    cursors = [Cursor(transcript) for _ in range(4)]
    seen = [b""] * 4
    for step in steps:
        if isinstance(step, bytes):
            transcript.append(step)
        else:
            seen[step[0]] += cursors[step[0]].read(step[1])
    assert [got + cursor.read() for got, cursor in zip(seen, cursors, strict=True)] == [transcript.read()] * 4


@given(PIECES, st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_link_shows_every_byte_once_whatever_its_user_takes(pieces, rooms):
    transcript = Transcript(clock=FakeClock())
    flow = LinkFlow(Cursor(transcript), OutgoingQueue("ttyS0"))
    shown = bytearray()

    def write_up_to(room):
        def write(data: bytes) -> int:
            shown.extend(data[:room])
            return min(room, len(data))

        return write

    for piece, room in zip(pieces, [*rooms, *[0] * len(pieces)], strict=False):
        transcript.append(piece)
        flow.push(write_up_to(room))
    assert not flow.push(write_up_to(1 << 20))
    assert bytes(shown) == transcript.read()
