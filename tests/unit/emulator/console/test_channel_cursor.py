"""Cursors: reading without taking."""

import threading

from emulator.clock import Deadline, FakeClock
from emulator.console.channel import Cursor
from emulator.console.transcript import Transcript


def test_cursor_reads_in_pieces_and_then_nothing():
    transcript = Transcript()
    transcript.append(b"abcde")
    cursor = Cursor(transcript)
    assert [cursor.read(3), cursor.read(3), cursor.read(3)] == [b"abc", b"de", b""]


def test_cursor_starts_where_it_is_told():
    transcript = Transcript()
    transcript.append(b"abcde")
    cursor = Cursor(transcript, position=3)
    assert (cursor.available(), cursor.read()) == (2, b"de")


def test_read_wait_returns_as_soon_as_there_is_a_byte():
    transcript = Transcript()
    thread = threading.Thread(target=transcript.append, args=(b"x",))
    thread.start()
    assert Cursor(transcript).read_wait(10, Deadline.after(30)) == b"x"
    thread.join()


def test_read_wait_returns_nothing_at_the_deadline():
    assert Cursor(Transcript()).read_wait(10, Deadline.after(0, FakeClock())) == b""


def test_read_wait_gives_what_is_left_when_the_transcript_is_closed():
    transcript = Transcript()
    transcript.append(b"bye")
    transcript.close("over")
    cursor = Cursor(transcript)
    assert [cursor.read_wait(10, Deadline.after(30)) for _ in range(2)] == [b"bye", b""]
