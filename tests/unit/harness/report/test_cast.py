"""Transcripts as asciicasts."""

import json

import pytest

from emulator.console.marks import MarkKind
from harness.report.cast import render_cast
from tests.support.report_samples import Guest, make_guest


def parsed(text: str) -> tuple[dict[str, object], list[list[object]]]:
    head, *events = [json.loads(line) for line in text.splitlines()]
    return head, events


def test_cast_keeps_output_input_and_markers_at_their_times() -> None:
    guest = Guest().says(b"login: ", every_s=1.0).types(b"root\n")
    guest.clock.advance(0.5)
    guest.marks(MarkKind.STIMULUS, "nmi").says(b"ouch\r\n", every_s=0.25)
    head, events = parsed(render_cast(guest.transcript, title="a cell"))
    assert head["version"] == 2
    assert head["title"] == "a cell"
    assert events == [
        [1.0, "o", "login: "],
        [1.0, "i", "root\n"],
        [1.5, "m", "stimulus: nmi"],
        [1.75, "o", "ouch\r\n"],
    ]


def test_cast_of_version_3_has_intervals_that_add_up_to_the_times() -> None:
    guest = make_guest()
    _, times = parsed(render_cast(guest.transcript, title=""))
    head, intervals = parsed(render_cast(guest.transcript, title="", version=3))
    assert head["term"] == {"cols": 120, "rows": 32, "type": "xterm-256color"}
    assert sum(event[0] for event in intervals) == pytest.approx(times[-1][0], abs=1e-3)
    assert [event[1:] for event in intervals] == [event[1:] for event in times]


def test_cast_joins_a_character_that_two_chunks_share_and_replaces_bad_bytes() -> None:
    guest = Guest().says(b"caf\xc3", b"\xa9 \xff.", b"end\xe2\x82")
    _, events = parsed(render_cast(guest.transcript, title=""))
    assert "".join(str(text) for _, _, text in events) == "café \ufffd.end\ufffd"
    assert guest.transcript.read() == b"caf\xc3\xa9 \xff.end\xe2\x82"


def test_cast_marks_steps_where_they_begin() -> None:
    guest = Guest().marks(MarkKind.STEP, "begin", {"index": 0, "step": "reach shell"})
    guest.marks(MarkKind.STEP, "end", {"index": 0}).marks(MarkKind.LINK, "attached")
    _, events = parsed(render_cast(guest.transcript, title=""))
    assert events == [[0.0, "m", "step: reach shell"]]


def test_cast_of_an_empty_transcript_is_a_header() -> None:
    assert parsed(render_cast(Guest().transcript, title=""))[1] == []


def test_cast_says_where_it_was_cut() -> None:
    guest = Guest().says(b"a" * 100, b"b" * 100).marks(MarkKind.STIMULUS, "nmi").says(b"c" * 100)
    guest.clock.advance(1.0)
    guest.marks(MarkKind.STIMULUS, "late")
    _, events = parsed(render_cast(guest.transcript, title="", limit=150))
    assert [event[1] for event in events] == ["o", "o", "m", "m"]
    assert events[-1][2] == "cut here: the transcript has 300 bytes"
