"""Formats of a console: the two files of a transcript, a recording and its copy for others."""

import shutil

import pytest

from emulator.clock import FakeClock
from emulator.console.marks import Chunk, Mark, MarkKind, Typed
from emulator.console.transcript import DirectorySink, Transcript, load_transcript
from emulator.errors import SpecError
from harness.recording.copying import sanitise_directory
from harness.recording.kept import read_recording, write_recording
from tests.support.sample_files import SAMPLES, sample

NAMES = ("console.bin", "timeline.jsonl")
DETAIL = {"text": "\u00fc \u2028", "list": [1, 2.0, None], "table": {"b": 1, "a": True}}


def bytes_of(directory):
    return [(directory / name).read_bytes() for name in NAMES]


def fill(transcript: Transcript) -> None:
    clock = transcript.clock
    transcript.mark(MarkKind.MACHINE, "running")
    for part in (b"Booting\r\n", b"\x00\xff\xfe\x1b[2J", "\u00fc".encode()):
        clock.advance(0.25)
        transcript.append(part)
    clock.advance(1e-05)
    transcript.append_typed(b"\x1broot\r\xff")
    for number, kind in enumerate(MarkKind):
        clock.advance(0.1)
        transcript.mark(kind, kind.value.upper(), DETAIL if number == 1 else None)


def test_transcript_is_as_it_was(tmp_path):
    with Transcript(clock=FakeClock(), sink=DirectorySink(tmp_path, console="ttyS0"), epoch=0.0) as live:
        fill(live)
    assert bytes_of(tmp_path) == bytes_of(SAMPLES / "transcript")
    kept = load_transcript(SAMPLES / "transcript")
    assert (kept.name, kept.closed, kept.truncated, kept.epoch) == ("ttyS0", "left", None, 0.0)
    assert (kept.read(), kept.typed, kept.marks, kept.chunks) == (
        live.read(), live.typed, live.marks, live.chunks
    )  # fmt: skip
    assert kept.chunks[:2] == (Chunk(at=0.25, start=0, end=9), Chunk(at=0.5, start=9, end=16))
    assert kept.typed == (Typed(at=0.75001, offset=18, data=b"\x1broot\r\xff"),)
    assert kept.marks[2] == Mark(kind=MarkKind.QMP, name="QMP", at=0.95001, offset=18, detail=DETAIL)


def test_transcript_of_a_fork_begins_with_the_lines_of_its_past(tmp_path):
    past = load_transcript(SAMPLES / "transcript")
    with Transcript(clock=FakeClock(), sink=DirectorySink(tmp_path, console="ttyS0")) as live:
        live.continue_from(past)
    console, timeline = bytes_of(tmp_path)
    assert console == past.read()
    assert timeline == sample("transcript/timeline.jsonl")


@pytest.mark.parametrize(
    "timeline", [None, b"", b"{}\n", b'{"version":2,"console":"ttyS0"}\n', b"[1]\n", b"no\n", b"\xff\n"]
)
def test_transcript_without_its_first_line_is_refused(tmp_path, timeline):
    shutil.copytree(SAMPLES / "transcript", tmp_path, dirs_exist_ok=True)
    (tmp_path / NAMES[1]).unlink()
    if timeline is not None:
        (tmp_path / NAMES[1]).write_bytes(timeline)
    with pytest.raises(SpecError):
        load_transcript(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"closed":"left"', b'"x":1', "a line of the timeline is cut"),
        (b'"mark":"qmp"', b'"mark":"odd"', "a line of the timeline is cut"),
        (b'"out":[0,9]', b'"out":[0]', "a line of the timeline is cut"),
        (b'"out":[0,9]', b'"out":[1,9]', "stamps do not tile: [1, 9) follows 0"),
        (b'"out":[16,18]', b'"out":[16,17]', "18 bytes kept, 17 stamped"),
    ],
)
def test_transcript_with_a_damaged_line_says_that_it_is_not_whole(tmp_path, old, new, why):
    (tmp_path / NAMES[0]).write_bytes(sample("transcript/console.bin"))
    (tmp_path / NAMES[1]).write_bytes(sample("transcript/timeline.jsonl").replace(old, new))
    assert load_transcript(tmp_path).truncated == why
    if "stamp" in why:
        with pytest.raises(SpecError):
            read_recording(tmp_path)


def test_recording_and_its_copy_for_others_are_as_they_were(tmp_path):
    raw = SAMPLES / "recording" / "raw"
    recording, transcript = read_recording(raw)
    write_recording(tmp_path / "raw", recording, console=transcript.name, closed=transcript.closed)
    assert bytes_of(tmp_path / "raw") == bytes_of(raw)
    place, _ = sanitise_directory(tmp_path, words=["acme"])
    assert place == tmp_path / "sanitised"
    assert bytes_of(place) == bytes_of(SAMPLES / "recording" / "sanitised")
