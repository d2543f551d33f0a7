"""Cursors: reading without taking."""

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
