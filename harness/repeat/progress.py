"""What a person sees while repetitions are played; written to stderr."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from harness.plugin.progress import is_live
from harness.repeat.outcome import Ending
from harness.repeat.text import render_ending
from harness.verdict import Status

_STYLES = {Status.FAILED: "red bold", Status.BROKEN: "magenta bold", Status.SKIPPED: "yellow"}


class HuntProgress:
    """A bar on a terminal; everywhere a line for each repetition that did not pass."""

    def __init__(self, total: int | None, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not is_live(self._console),
        )
        self._task = self._bar.add_task(self._said(0), total=total)
        self._failed = 0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the drawing."""
        self._bar.stop()

    def show(self, ending: Ending) -> None:
        """Count a repetition, and print it if it did not pass."""
        if ending.status is not Status.PASSED:
            line = Text(render_ending(ending), style=_STYLES[ending.status])
            self._console.print(line, soft_wrap=True)
        self._failed += ending.status is Status.FAILED
        self._bar.update(self._task, advance=1, description=self._said(self._failed))

    @staticmethod
    def _said(failed: int) -> str:
        return f"repetitions, {failed} failed"
