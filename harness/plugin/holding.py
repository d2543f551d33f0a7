"""pytest's hooks for `--hold-on-failure`: a run is reported, then waits for those who join its guests."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress

import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from harness.plugin.record_hooks import RecordHooks
from harness.run.held import Holding
from harness.run.interrupts import enter_key, uninterrupted

HOLDING = "ttylab-holding"
"""Name under which the plug-in registers its HoldingHooks."""
HELD_PROPERTY = "held"
"""Test property with the lines that say how to join a cell's guest, or why it is not held."""
_LOOK_S = 0.2
_CLOSE_S = 20.0


class HoldingHooks:
    """Keeps one process of a run until nothing is held any more.

    Attributes:
        holding: what this process holds, and what it knows of the others.
    """

    def __init__(
        self, holding: Holding, record: RecordHooks | None, *, say: Callable[[list[str]], None]
    ) -> None:
        """Make it for one process; only the controller has a `record`. `say` shows lines to people."""
        self.holding = holding
        self._record = record
        self._say = say

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """On the controller, report the run, wait, and let go of all, before xdist ends its workers."""
        if self._record is not None:
            if self.holding.entries() and not self._record.recorder.interrupted:
                self._record.finish(session)
                self._wait(self._record)
            self.holding.release()
            closed = Deadline.after(_CLOSE_S)
            while self.holding.entries() and not closed.expired():
                SYSTEM_CLOCK.sleep(_LOOK_S)
        return (yield)

    def pytest_unconfigure(self) -> None:
        """Stay until what this process holds has ended: a worker's session ends before its run does."""
        with uninterrupted() as came:
            self.holding.wait(came)
            if self._record is not None:
                self.holding.close()

    def _wait(self, record: RecordHooks) -> None:
        with suppress(KeyboardInterrupt), uninterrupted() as came, enter_key() as entered:
            self._say([*record.last_words(), *self._words(record)])
            while self.holding.entries() and not (came() or entered()):
                SYSTEM_CLOCK.sleep(_LOOK_S)

    def _words(self, record: RecordHooks) -> list[str]:
        cells = () if record.result is None else record.result.cells
        held = [(one.cell.id, one.held) for one in cells if one.held]
        lines = [
            line
            for cell, (says, *joins) in held
            for line in (f"HELD    {cell}: {says}", *(f"        {one}" for one in joins))
        ]
        return [*lines, "Enter or Ctrl-C ends all that is held; what people do to it changes no verdict"]
