"""Formats of a console: the two files of a transcript, a recording and its copy for others."""

import shutil

import pytest

from emulator.console.marks import Chunk, Mark, MarkKind, Typed
from emulator.console.transcript import DirectorySink, Transcript, load_transcript
from emulator.errors import SpecError
from harness.recording.record import read_recording, sanitise_directory, write_recording
from tests.support.fake_clock import FakeClock
from tests.support.sample_files import SAMPLES, sample

DETAIL = {"text": "\u00fc \u2028", "list": [1, 2.0, None], "table": {"b": 1, "a": True}}
NO_HEAD = (b"", b"{}\n", b'{"version":2,"console":"ttyS0"}\n', b"[1]\n", b"no\n", b"\xff\n")
DAMAGES = (
    (b'"closed":"left"', b'"x":1', "a line of the timeline is cut"),
    (b'"mark":"qmp"', b'"mark":"odd"', "a line of the timeline is cut"),
    (b'"out":[0,9]', b'"out":[0]', "a line of the timeline is cut"),
    (b'"out":[0,9]', b'"out":[1,9]', "stamps do not tile: [1, 9) follows 0"),
    (b'"out":[16,18]', b'"out":[16,17]', "18 bytes kept, 17 stamped"),
)


def files_of(directory):
    return [(directory / name).read_bytes() for name in ("console.bin", "timeline.jsonl")]


def test_transcript(tmp_path):
    clock = FakeClock()
    with Transcript(clock=clock, sink=DirectorySink(tmp_path, console="ttyS0"), epoch=0.0) as live:
        live.mark(MarkKind.MACHINE, "running")
        for part in (b"Booting\r\n", b"\x00\xff\xfe\x1b[2J", "\u00fc".encode()):
            clock.advance(0.25)
            live.append(part)
        clock.advance(1e-05)
        live.append_typed(b"\x1broot\r\xff")
        for kind in MarkKind:
            clock.advance(0.1)
            live.mark(kind, kind.value.upper(), DETAIL if kind is MarkKind.QMP else None)
    assert files_of(tmp_path) == files_of(SAMPLES / "transcript")
    kept = load_transcript(SAMPLES / "transcript")
    assert (kept.name, kept.closed, kept.truncated, kept.read()) == ("ttyS0", "left", None, live.read())
    assert (kept.typed, kept.marks, kept.chunks) == (live.typed, live.marks, live.chunks)
    assert kept.chunks[:2] == (Chunk(at=0.25, start=0, end=9), Chunk(at=0.5, start=9, end=16))
    assert kept.typed == (Typed(at=0.75001, offset=18, data=b"\x1broot\r\xff"),)
    assert kept.marks[2] == Mark(kind=MarkKind.QMP, name="QMP", at=0.95001, offset=18, detail=DETAIL)
    with Transcript(sink=DirectorySink(tmp_path / "fork", console="ttyS0"), clock=FakeClock()) as fork:
        fork.continue_from(kept)
    assert files_of(tmp_path / "fork") == files_of(SAMPLES / "transcript")


def test_damaged_transcript_is_refused_or_says_that_it_is_not_whole(tmp_path):
    shutil.copytree(SAMPLES / "transcript", tmp_path, dirs_exist_ok=True)
    for head in NO_HEAD:
        (tmp_path / "timeline.jsonl").write_bytes(head)
        with pytest.raises(SpecError):
            load_transcript(tmp_path)
    for old, new, why in DAMAGES:
        (tmp_path / "timeline.jsonl").write_bytes(sample("transcript/timeline.jsonl").replace(old, new))
        assert load_transcript(tmp_path).truncated == why
    with pytest.raises(SpecError):
        read_recording(tmp_path)


def test_recording_and_its_copy_for_others(tmp_path):
    recording, transcript = read_recording(SAMPLES / "recording/raw")
    write_recording(tmp_path / "raw", recording, console=transcript.name, closed=transcript.closed)
    assert files_of(tmp_path / "raw") == files_of(SAMPLES / "recording/raw")
    place, _ = sanitise_directory(tmp_path, words=["acme"])
    assert place == tmp_path / "sanitised"
    assert files_of(place) == files_of(SAMPLES / "recording/sanitised")
