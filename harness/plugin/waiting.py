"""The controller of a pytest that need not play anything: a record begins with the first that does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulator.clock import SYSTEM_CLOCK
from harness.plugin.plays import DIRECTORY_PROPERTY, is_lost, plays_cell
from harness.plugin.process import RUN_DIRECTORY

if TYPE_CHECKING:
    from harness.plugin.record_hooks import RecordHooks


class WaitingRecord:
    """pytest's hooks on the controller until a matrix is found in a directory, or a test has used a guest."""

    def __init__(self, config: pytest.Config, start: Callable[..., RecordHooks]) -> None:
        self._config = config
        self._start = start
        self._hooks: RecordHooks | None = None
        self._others_failed = False
        self._began = SYSTEM_CLOCK.monotonic()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin if there is a cell among the tests, where there are no workers."""
        self._select(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Begin if a worker has found a cell."""
        self._select(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where a run's directory would be."""
        node.workerinput[RUN_DIRECTORY] = self._config.option.run_dir

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Begin at the first report of a test that used a guest, and hand it on."""
        if self._hooks is not None:
            return
        used = any(name == DIRECTORY_PROPERTY for name, _ in report.user_properties)
        if used or (is_lost(report) and Path(self._config.option.run_dir).is_dir()):
            self._begin().pytest_runtest_logreport(report)
        else:
            self._others_failed |= report.failed

    def _select(self, node_ids: Iterable[str]) -> None:
        ids = list(node_ids)
        if self._hooks is None and any(map(plays_cell, ids)):
            self._begin().recorder.select(ids)

    def _begin(self) -> RecordHooks:
        self._hooks = self._start(self._config, begun=True)
        self._hooks.recorder.backdate(SYSTEM_CLOCK.monotonic() - self._began)
        self._hooks.others_failed = self._others_failed
        return self._hooks
