"""The transcript: what it keeps, what it says when it can't, who wakes."""

import errno
import json
import threading
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.console.channel import Cursor
from emulator.console.marks import Chunk, MarkKind, Typed
from emulator.console.transcript import (
    CONSOLE_FILE,
    TIMELINE_FILE,
    DirectorySink,
    Transcript,
    load_transcript,
)
from emulator.errors import LabError, SpecError, StateError
from tests.support.fake_clock import FakeClock


class FullDisk:
    """A sink that has room for so many calls."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.closed = False

    def _use(self) -> None:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    def output(self, data, chunk) -> None:
        self._use()

    def record(self, line) -> None:
        self._use()

    def close(self) -> None:
        self.closed = True


def write_transcript(directory: Path) -> Transcript:
    clock = FakeClock(100.1)
    sink = DirectorySink(directory, console="ttyS0")
    with Transcript("ttyS0", clock=clock, sink=sink) as transcript:
        transcript.append(b"login: ")
        clock.advance(0.2)  # 100.3 - 100.1 is not 0.2
        transcript.append_typed(b"root\r\x00\xff")
        transcript.mark(MarkKind.STAGE, "login", {"why": "prompt"})
        clock.advance(0.25)
        transcript.append(b"\xff\x00\r\n# ")
        transcript.close("powered off")
    return transcript


def edit_timeline(directory: Path, edit) -> None:
    path = directory / TIMELINE_FILE
    path.write_bytes(b"\n".join(edit(path.read_bytes().splitlines())) + b"\n")


def test_transcript_stamps_chunks_by_its_own_clock():
    clock = FakeClock(7.0)
    transcript = Transcript(clock=clock)
    clock.advance(2.0)
    transcript.append(b"abc")
    assert transcript.chunks == (Chunk(at=2.0, start=0, end=3),)


def test_transcript_notes_where_the_guest_was_when_bytes_were_typed():
    transcript = Transcript(clock=FakeClock())
    transcript.append(b"$ ")
    transcript.append_typed(b"ls\r")
    assert transcript.typed == (Typed(at=0.0, offset=2, data=b"ls\r"),)


def test_transcript_adds_nothing_for_empty_output():
    transcript = Transcript()
    before = transcript.version
    transcript.append(b"")
    assert (transcript.chunks, transcript.version) == ((), before)


def test_what_is_typed_as_a_secret_is_kept_and_not_shown(tmp_path):
    with Transcript("c", sink=DirectorySink(tmp_path, console="c")) as transcript:
        for wanted in (True, False):
            with transcript.typing_secret(wanted=wanted):
                transcript.append_typed(b"hush\r")
    kept = load_transcript(tmp_path)
    assert kept.typed == transcript.typed
    assert [(one.data, one.shown, one.secret) for one in kept.typed] == [
        (b"hush\r", b"****\r", True),
        (b"hush\r", b"hush\r", False),
    ]


@pytest.mark.parametrize("add", [lambda t: t.append(b"x"), lambda t: t.append_typed(b"x")])
def test_transcript_refuses_bytes_when_closed(add):
    transcript = Transcript()
    transcript.close("powered off")
    with pytest.raises(LabError, match="powered off"):
        add(transcript)


def test_transcript_drops_marks_when_closed():
    transcript = Transcript()
    transcript.close("over")
    mark = transcript.mark(MarkKind.QMP, "RESET")
    assert (mark.name, transcript.marks) == ("RESET", ())


def test_transcript_keeps_its_first_reason_when_closed_twice():
    transcript = Transcript()
    transcript.close("first")
    transcript.close("second")
    assert transcript.closed == "first"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.append(b"x"),
        lambda t: t.append_typed(b"x"),
        lambda t: t.mark(MarkKind.LAB, "x"),
        lambda t: t.close("x"),
    ],
)
def test_wait_change_wakes_when_something_happens(change):
    transcript = Transcript()
    version = transcript.version
    thread = threading.Thread(target=change, args=(transcript,))
    thread.start()
    assert transcript.wait_change(version, Deadline.after(30)) != version
    thread.join()


def test_wait_change_returns_the_same_version_at_the_deadline():
    transcript = Transcript()
    assert transcript.wait_change(transcript.version, Deadline.after(0)) == transcript.version


def test_wait_change_returns_at_once_when_closed():
    transcript = Transcript()
    transcript.close("over")
    assert transcript.wait_change(transcript.version, Deadline.after(1e9)) == transcript.version


def test_loaded_transcript_equals_the_kept_one(tmp_path):
    kept = write_transcript(tmp_path)
    loaded = load_transcript(tmp_path)
    assert loaded.read() == kept.read() == (tmp_path / CONSOLE_FILE).read_bytes()
    assert (loaded.chunks, loaded.typed, loaded.marks) == (kept.chunks, kept.typed, kept.marks)
    assert (loaded.name, loaded.closed, loaded.truncated) == ("ttyS0", "powered off", None)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda lines: lines[:-1], "no end"),
        (lambda lines: [*lines[:-1], lines[-1][:7]], "is cut"),
        (lambda lines: [*lines[:2], b"\x00\xffgarbage", *lines[2:]], "is cut"),
        (lambda lines: [*lines[:2], b"[]", *lines[2:]], "is cut"),
        (lambda lines: [*lines[:2], b'{"t": 1e999, "mark": "nobody"}', *lines[2:]], "is cut"),
        (lambda lines: [lines[0], *lines[2:]], "do not tile"),
        (lambda lines: [*lines[:-2], lines[-1]], "7 stamped"),
    ],
)
def test_loaded_transcript_is_truncated_when_its_timeline_is_damaged(tmp_path, edit, why):
    write_transcript(tmp_path)
    edit_timeline(tmp_path, edit)
    assert why in str(load_transcript(tmp_path).truncated)


def test_loaded_transcript_is_truncated_when_bytes_are_missing(tmp_path):
    write_transcript(tmp_path)
    (tmp_path / CONSOLE_FILE).write_bytes(b"log")
    assert load_transcript(tmp_path).truncated == "3 bytes kept, 13 stamped"


@pytest.mark.parametrize("head", [b"", b"[1]", b'{"version": 99, "console": "x"}', b"\xff\xfe", b"7"])
def test_load_refuses_a_directory_that_holds_no_transcript(tmp_path, head):
    write_transcript(tmp_path)
    edit_timeline(tmp_path, lambda lines: [head])
    with pytest.raises(SpecError, match=str(tmp_path)):
        load_transcript(tmp_path)


def test_load_refuses_an_empty_directory(tmp_path):
    with pytest.raises(SpecError, match="no transcript here"):
        load_transcript(tmp_path)


def test_transcript_goes_on_in_memory_when_the_disk_is_full():
    sink = FullDisk(room=1)
    transcript = Transcript(sink=sink)
    transcript.append(b"kept")
    transcript.append(b"lost")
    transcript.append(b"on")
    assert transcript.read() == b"keptloston"
    assert str(transcript.truncated) == "kept copy of ttyS0 ends at byte 8: No space left on device"
    assert [(mark.kind, mark.name) for mark in transcript.marks] == [(MarkKind.LAB, "truncated")]
    assert sink.closed


def test_sink_writes_one_json_object_a_line(tmp_path):
    write_transcript(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / TIMELINE_FILE).read_bytes().splitlines()]
    assert lines[0] == {"version": 1, "console": "ttyS0"}
    assert lines[1] == {"t": 0.0, "out": [0, 7]}
    assert lines[-1] == {"t": 0.45, "closed": "powered off"}


def test_sink_loses_nothing_that_was_appended_before_the_process_died(tmp_path):
    transcript = Transcript(sink=DirectorySink(tmp_path, console="ttyS0"))
    transcript.append(b"last words")
    assert load_transcript(tmp_path).read() == b"last words"
    transcript.close("test over")


def test_transcript_forgets_its_front_and_keeps_its_offsets_when_it_is_told_how_much_to_keep():
    transcript = Transcript(clock=FakeClock(), keep=4)
    transcript.mark(MarkKind.LAB, "old")
    for number in range(10):
        transcript.append(bytes([number]))
    transcript.mark(MarkKind.LAB, "new")
    assert len(transcript) == 10
    assert transcript.first == 5
    assert transcript.read() == bytes(range(5, 10))
    assert transcript.read(7, 9) == bytes([7, 8])
    assert transcript.read(0, 6) == bytes([5])
    assert [mark.name for mark in transcript.marks] == ["new"]
    assert [mark.name for mark in transcript.marks_since(1)] == ["new"]
    assert transcript.chunks[0].start == 5


def test_cursor_that_is_too_late_goes_on_at_the_oldest_byte():
    transcript = Transcript(clock=FakeClock(), keep=4)
    cursor = Cursor(transcript)
    transcript.append(b"0123456789")
    assert cursor.available() == 4
    assert cursor.read() == b"6789"
    assert cursor.position == 10


def test_transcript_wakes_its_watchers_until_they_leave():
    transcript = Transcript(clock=FakeClock())
    woken: list[str] = []
    leave = transcript.watch(lambda: woken.append("a"))
    transcript.watch(lambda: woken.append("b"))
    transcript.append(b"x")
    leave()
    transcript.mark(MarkKind.LAB, "m")
    assert woken == ["a", "b", "b"]


def told(clock: FakeClock, **options) -> Transcript:
    """A transcript of three seconds, with something of each kind."""
    transcript = Transcript(clock=clock, **options)
    transcript.mark(MarkKind.MACHINE, "started")
    clock.advance(2.0)
    transcript.append(b"login: ")
    transcript.append_typed(b"root\r")
    clock.advance(1.0)
    transcript.append(b"# ")
    return transcript


def test_transcript_continues_another_as_if_it_had_been_written_there(tmp_path: Path) -> None:
    clock = FakeClock()
    past = told(clock)
    clock.advance(100.0)
    transcript = Transcript(clock=clock, sink=DirectorySink(tmp_path, console="ttyS0"))
    transcript.continue_from(past)
    assert transcript.now() == 3.0
    clock.advance(0.5)
    transcript.append(b"more")
    transcript.close("done")
    assert transcript.read() == b"login: # more"
    assert [chunk.at for chunk in transcript.chunks] == [2.0, 3.0, 3.5]
    kept = load_transcript(tmp_path)
    assert kept.truncated is None
    assert (kept.read(), kept.chunks) == (transcript.read(), transcript.chunks)
    assert (kept.typed, kept.marks) == (transcript.typed, transcript.marks)


def test_transcript_that_has_begun_continues_no_other() -> None:
    clock = FakeClock()
    transcript = told(clock)
    with pytest.raises(StateError, match="has begun; it can't continue another"):
        transcript.continue_from(told(clock))


def test_transcript_until_a_mark_has_nothing_behind_it() -> None:
    clock = FakeClock()
    transcript = told(clock)
    clock.advance(1.0)
    mark = transcript.mark(MarkKind.LAB, "saved")
    clock.advance(1.0)
    transcript.append(b"late")
    transcript.append_typed(b"x")
    transcript.mark(MarkKind.MACHINE, "off")
    past = transcript.until(mark)
    assert past.closed is not None
    assert past.read() == b"login: # "
    assert [typed.data for typed in past.typed] == [b"root\r"]
    assert [one.name for one in past.marks] == ["started"]
