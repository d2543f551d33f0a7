"""Shows work that takes long (`emulator.work`): bars on a terminal, elsewhere lines, never a long silence."""

from __future__ import annotations

import threading
from functools import cache

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from emulator.clock import SYSTEM_CLOCK, Clock
from emulator.guest_text.printable import visible
from emulator.work import Listener
from harness.terminal.output import ProgressOutput, is_live

SILENCE_S = 5.0
"""Seconds after which a log that nobody draws on gets another line about work that goes on."""


@cache
def work_listener() -> Listener:
    """Return what shows work on standard error, for this process."""
    console = ProgressOutput()
    return WorkBars(console).show if is_live(console) else WorkLines(console).show


class WorkBars:
    """On a terminal: a bar for each thing that is being made, gone once it is."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("ttylab: {task.fields[what]:18}"), BarColumn(24), TimeElapsedColumn())
        self._bars = Progress(*columns, TextColumn("{task.description}"), console=console, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def show(self, what: str, stage: str, fraction: float) -> None:
        """Draw its bar; at 1 the bar goes."""
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task("", total=1.0, what=visible(what))
            self._bars.start()
        self._bars.update(self._tasks[what], description=visible(stage), completed=fraction)
        if fraction >= 1:
            self._bars.remove_task(self._tasks.pop(what))
        if not self._tasks:
            self._bars.stop()


class WorkLines:
    """Elsewhere: a line when something begins and when it ends, and one in `SILENCE_S` meanwhile."""

    def __init__(self, console: Console, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._console = console
        self._clock = clock
        self._doing: dict[str, tuple[float, str]] = {}
        self._idle = threading.Event()

    def show(self, what: str, stage: str, fraction: float) -> None:
        """Print that it begins or has ended; a stage between is kept for the next line."""
        now = self._clock.monotonic()
        began = self._doing[what][0] if what in self._doing else now
        if fraction >= 1:
            self._doing.pop(what, None)
            self._print(f"{what}: {stage} after {now - began:.1f} s")
            if not self._doing:
                self._idle.set()
            return
        if what not in self._doing:
            self._print(f"{what}: {stage}")
            self._begin_to_tick()
        self._doing[what] = (began, stage)

    def beat(self) -> None:
        """Print what is being made."""
        now = self._clock.monotonic()
        for what, (began, stage) in list(self._doing.items()):
            self._print(f"{what}: {stage} ({now - began:.0f} s)")

    def _begin_to_tick(self) -> None:
        if not self._doing:
            self._idle = idle = threading.Event()
            threading.Thread(target=self._tick, args=(idle,), name="work", daemon=True).start()

    def _tick(self, idle: threading.Event) -> None:
        while not idle.wait(SILENCE_S):
            self.beat()

    def _print(self, line: str) -> None:
        self._console.print(Text(f"ttylab: {visible(line)}"), soft_wrap=True)
