"""Live progress of a run instead of pytest's own output: a bar on a terminal, elsewhere a line per cell.

`ttylab run` loads it with `-p harness.plugin.progress`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

import pytest
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from emulator.clock import SYSTEM_CLOCK
from emulator.guest_text.printable import visible
from harness.plugin.plays import STATUS_PROPERTY, TELLS_PROPERTY, WAITS_PROPERTY, why
from harness.plugin.record_hooks import RECORD, RecordHooks
from harness.report.model import BAD
from harness.terminal.output import ProgressOutput
from harness.terminal.work import Beats

_CELL = re.compile(r"\[(?P<id>[^\]]+)\](?:@[^\]]*)?$")
"""A cell's node id; behind it xdist adds the group of a board's cells."""
STYLES: Mapping[str, str] = {
    "passed": "green",
    "failed": "red bold",
    "broken": "magenta bold",
    "skipped": "yellow",
}
"""How each verdict is shown."""
_SHOWN_RUNNING = 8


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take over the terminal, on the controller only."""
    if hasattr(config, "workerinput") or not config.pluginmanager.hasplugin(RECORD):
        return
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.unregister(reporter)
    config.pluginmanager.register(RunProgress(config, ProgressOutput()), "ttylab-progress")


def is_live(console: Console) -> bool:
    """Tell whether to draw a live bar: on a terminal, but not in a CI log."""
    return console.is_terminal and not os.environ.get("CI")


def counting_bar(console: Console, *, disable: bool = False) -> Progress:
    """Return a bar that counts tasks done out of all; a disabled one draws nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=disable)


class RunProgress:
    """What a person sees while cells run; written to stderr."""

    def __init__(self, config: pytest.Config, console: Console) -> None:
        self._config = config
        self._console = console
        self._running: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._beats: Beats | None = None
        self._done = 0
        self._total = 0
        self._bar = counting_bar(console)
        self._task = self._bar.add_task("cells", total=None)
        self._live = (
            Live(get_renderable=self._picture, console=console, refresh_per_second=4)
            if is_live(console)
            else None
        )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn how many cells there are, if there are no workers."""
        self._expect(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Learn how many cells there are, if there are workers."""
        self._expect(len(ids))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show a cell as running; a thread that draws can't be forked into the worker, which is there now."""
        self._running[nodeid] = SYSTEM_CLOCK.monotonic()
        if self._live is not None:
            self._live.start()
        elif self._beats is None:
            self._beats = Beats(self._beat)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show a cell's end, or what it tells while it is under way."""
        told = dict(report.user_properties)
        if tells := told.get(TELLS_PROPERTY):
            self._told[report.nodeid] = visible(str(tells)) if told.get(WAITS_PROPERTY) else ""
            self._console.print(Text(f"ttylab: {visible(str(tells))}"), soft_wrap=True)
        elif report.when == "call" or report.failed or report.skipped:
            self._end(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Show what can't be collected."""
        if report.failed:
            text = visible(f"{report.nodeid}: {report.longreprtext}", keep="\n\t")
            self._console.print(Text(text, style="red"))

    def pytest_internalerror(self, excrepr: object) -> None:
        """Show a defect of pytest, a plug-in or ttylab."""
        self._console.print(Text(visible(str(excrepr), keep="\n\t"), style="red"))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Stop drawing and say how the run ended; the last line is for programs that read CI logs."""
        if self._live is not None:
            self._live.stop()
        if self._beats is not None:
            self._beats.end()
        hooks = self._config.pluginmanager.getplugin(RECORD)
        if not isinstance(hooks, RecordHooks) or hooks.told:
            return
        for line in hooks.last_words():
            self._console.print(Text(line), soft_wrap=True)
        sys.stderr.flush()

    def write_line(self, line: str) -> None:
        """Show a line for people, before the end of the run."""
        if self._live is not None:
            self._live.stop()
        self._console.print(Text(visible(line)), soft_wrap=True)

    def _expect(self, total: int) -> None:
        self._total = total
        self._bar.update(self._task, total=total)

    def _end(self, report: pytest.TestReport) -> None:
        began = self._running.pop(report.nodeid, None)
        self._told.pop(report.nodeid, None)
        if began is None:
            if report.failed:  # after the cell itself
                self._console.print(
                    f"broken  {_cell_id(report.nodeid)} {report.when}: {visible(why(report))}", markup=False
                )
            return
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        outcome = _outcome(report)
        seconds = SYSTEM_CLOCK.monotonic() - began
        line = Text.assemble(
            f"[{self._done:>3}/{self._total}] ",
            (f"{outcome:7}", STYLES[outcome]),
            f" {_cell_id(report.nodeid)} {seconds:.1f} s",
        )
        if self._live is None or report.failed:
            self._console.print(line, soft_wrap=True)

    def _beat(self) -> None:
        if running := self._lines_of_running():
            self._console.print(Text("\n".join(running)), soft_wrap=True)

    def _lines_of_running(self) -> list[str]:
        now = SYSTEM_CLOCK.monotonic()
        return [
            f"  {now - began:5.1f} s  {_cell_id(nodeid)}  {self._told.get(nodeid, '')}".rstrip()
            for nodeid, began in list(self._running.items())[:_SHOWN_RUNNING]
        ]

    def _picture(self) -> Group:
        return Group(*(Text(line, style="dim") for line in self._lines_of_running()), self._bar)


def _outcome(report: pytest.TestReport) -> str:
    """Return the cell's verdict, or pytest's if there is none (its worker died)."""
    verdict = dict(report.user_properties).get(STATUS_PROPERTY)
    if report.failed and verdict not in BAD:
        return "broken"
    return str(verdict or report.outcome)


def _cell_id(nodeid: str) -> str:
    found = _CELL.search(nodeid)
    return visible(nodeid if found is None else found["id"])
