"""How work shows: lines for logs, with no long silence between them, and bars that go on a terminal."""

import io

from rich.console import Console

from emulator.clock import FakeClock
from harness.terminal.work import WorkBars, WorkLines


def plain() -> Console:
    return Console(file=io.StringIO(), width=120)


def shown(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_log_gets_a_line_at_both_ends_and_none_for_each_stage() -> None:
    console, clock = plain(), FakeClock()
    lines = WorkLines(console, clock=clock)
    lines.show("image a", "building", 0.0)
    lines.show("image a", "reading the index", 0.1)
    clock.advance(3.25)
    lines.show("image a", "ready", 1.0)
    assert shown(console) == ["ttylab: image a: building", "ttylab: image a: ready after 3.2 s"]


def test_log_hears_of_work_that_takes_long() -> None:
    console, clock = plain(), FakeClock()
    lines = WorkLines(console, clock=clock)
    lines.show("image a", "building", 0.0)
    lines.show("image a", "fetching \x1b[31m", 0.1)
    clock.advance(7)
    lines.beat()
    lines.show("image a", "ready", 1.0)
    lines.beat()
    assert shown(console)[1:2] == ["ttylab: image a: fetching \\x1b[31m (7 s)"]
    assert len(shown(console)) == 3


def test_terminal_has_a_bar_for_each_thing_while_it_is_made() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    bars = WorkBars(console)
    bars.show("image a", "building", 0.0)
    bars.show("image b", "building", 0.0)
    bars.show("image a", "unpacking", 0.5)
    bars.show("image a", "ready", 1.0)
    bars.show("image b", "failed", 1.0)
    assert "image a" in console.file.getvalue()  # type: ignore[attr-defined]
    assert console._live_stack == []
