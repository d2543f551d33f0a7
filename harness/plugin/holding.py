"""pytest's hooks for `--hold-on-failure`: a run is reported, then waits for those who join its guests."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from harness.run.held import Holding
from harness.run.interrupts import enter_key, uninterrupted

if TYPE_CHECKING:
    from harness.plugin.record_hooks import RecordHooks

HOLDING = "ttylab-holding"
"""Name under which the plug-in registers its HoldingHooks."""
HELD_PROPERTY = "held"
"""Test property with the lines that say how to join a guest, or why it is not held; one for each guest."""
_LOOK_S = 0.2
_CLOSE_S = 20.0


class HoldingHooks:
    """Keeps one process of a run until nothing is held any more.

    Attributes:
        holding: what this process holds, and what it knows of the others.
    """

    def __init__(
        self,
        holding: Holding,
        record: Callable[[], RecordHooks | None],
        *,
        say: Callable[[list[str]], None],
    ) -> None:
        """Make it for one process; `record` gives the controller its own. `say` shows lines."""
        self.holding = holding
        self._record = record
        self._say = say

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """On the controller, report the run, wait, and let go of all, before xdist ends its workers."""
        if (record := self._record()) is not None:
            if self.holding.entries() and not record.recorder.interrupted:
                record.finish(session)
                self._wait(record)
            self.holding.release()
            closed = Deadline.after(_CLOSE_S)
            while self.holding.entries() and not closed.expired():
                SYSTEM_CLOCK.sleep(_LOOK_S)
        return (yield)

    def pytest_unconfigure(self) -> None:
        """Stay until what this process holds has ended: a worker's session ends before its run does."""
        with uninterrupted() as came:
            self.holding.wait(came)
            if self._record() is not None:
                self.holding.close()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say at once how to join the guests of a test that has ended."""
        if report.when == "teardown" and self._record() is not None:
            held = [str(lines) for name, lines in report.user_properties if name == HELD_PROPERTY]
            self._say([f"        {line}" for lines in held for line in lines.splitlines()])

    def _wait(self, record: RecordHooks) -> None:
        with suppress(KeyboardInterrupt), uninterrupted() as came, enter_key() as entered:
            self._say([*record.last_words(), *self._words(record)])
            record.told = True
            while self.holding.entries() and not (came() or entered()):
                SYSTEM_CLOCK.sleep(_LOOK_S)

    def _words(self, record: RecordHooks) -> list[str]:
        cells = () if record.result is None else record.result.cells
        held = [f"HELD    {one.cell.id}: {one.held[0]}" for one in cells if one.held]
        return [*held, "Enter or Ctrl-C ends all that is held; what people do to it changes no verdict"]


def holding_of(config: pytest.Config) -> Holding | None:
    """Return what keeps guests of failed tests in this process; None if they end."""
    hooks = config.pluginmanager.getplugin(HOLDING)
    return hooks.holding if isinstance(hooks, HoldingHooks) else None
