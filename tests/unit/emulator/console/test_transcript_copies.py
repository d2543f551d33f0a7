"""A transcript whose kept copy ends goes on in another one, which has all of it."""

from emulator.console.marks import MarkKind
from emulator.console.transcript import DirectorySink, Transcript, load_transcript
from tests.support.fake_clock import FakeClock


def test_copy_ends_where_the_next_one_begins_which_has_all(tmp_path):
    transcript = Transcript(clock=FakeClock(), sink=DirectorySink(tmp_path / "cell", console="ttyS0"))
    transcript.append(b"before\n")
    transcript.append_typed(b"ls\r")
    transcript.keep_in(DirectorySink(tmp_path / "cell/by-hand", console="ttyS0"), "held")
    transcript.mark(MarkKind.LAB, "held")
    transcript.append(b"after\n")
    transcript.close("left")
    cell, by_hand = load_transcript(tmp_path / "cell"), load_transcript(tmp_path / "cell/by-hand")
    assert (cell.read(), cell.closed, cell.truncated, cell.marks) == (b"before\n", "held", None, ())
    assert (by_hand.read(), by_hand.closed, by_hand.truncated) == (b"before\nafter\n", "left", None)
    assert by_hand.timeline() == transcript.timeline()


def test_transcript_without_a_copy_may_get_one(tmp_path):
    transcript = Transcript(clock=FakeClock())
    transcript.append(b"all\n")
    transcript.keep_in(DirectorySink(tmp_path, console="ttyS0"), "held")
    transcript.close("left")
    assert load_transcript(tmp_path).read() == b"all\n"
