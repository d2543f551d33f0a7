"""How work shows: a line when it begins and when it ends, and one where there would be a long silence."""

import threading

from harness.terminal.work import Beats, WorkLines
from tests.support.fake_clock import FakeClock


def test_work_is_told_at_both_ends_and_not_at_each_stage() -> None:
    said: list[str] = []
    clock = FakeClock()
    lines = WorkLines(lambda line, end: said.append(line), clock=clock)
    lines.show("image a", "building", 0.0)
    lines.show("image a", "reading the index", 0.1)
    clock.advance(3.5)
    lines.show("image a", "ready", 1.0)
    assert said == ["image a: building", "image a: ready after 3.5 s"]


def test_work_that_takes_long_is_told_in_between_and_never_after_its_end() -> None:
    said: list[str] = []
    clock = FakeClock()
    lines = WorkLines(lambda line, end: said.append(line), clock=clock)
    for what in ("image a", "image b"):
        lines.show(what, "building", 0.0)
    lines.show("image a", "fetching", 0.1)
    lines.show("image b", "failed", 1.0)
    clock.advance(7)
    lines.beat()
    lines.show("image a", "ready", 1.0)
    lines.beat()
    assert said[3:] == ["image a: fetching (7 s)", "image a: ready after 7.0 s"]


def test_terminal_shows_in_place_what_began_last() -> None:
    said: list[tuple[str, str]] = []
    clock = FakeClock()
    lines = WorkLines(lambda line, end: said.append((line, end)), in_place=True, clock=clock)
    lines.beat()
    for what in ("image a", "image b"):
        lines.show(what, "building", 0.0)
    clock.advance(7)
    lines.beat()
    assert said[-1] == ("image b: building (7 s)", "\r")
    for what in ("image a", "image b"):
        lines.show(what, "ready", 1.0)
    assert [end for line, end in said if "(" not in line] == ["\n"] * 4


def test_beats_come_until_they_are_ended() -> None:
    came = threading.Semaphore(0)
    beats = Beats(came.release, every_s=0.0)
    assert came.acquire(timeout=30)
    beats.end()
    beats.end()
