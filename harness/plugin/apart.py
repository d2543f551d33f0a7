"""Plays the cells of a run in one process that is forked from this one: a worker that is there at once.

xdist's workers begin with a new Python, which takes longer than a cell. One that is forked has all modules,
and is a process of its own all the same: if it is killed, its cell still stands in every report.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess

import pytest

from emulator.machine.process import die_with_parent
from harness.plugin.process import WHOLE_END, InterruptibleTests
from harness.plugin.record_hooks import RECORD
from harness.run.interrupts import held_back

WORKER = "gw0"
"""What reports call the worker; xdist has the same name for its first."""
UNWIND_S = 3.0
"""Seconds that a worker which got the same Ctrl-C has to end its guest; afterwards it is told once more."""
_OURS = (RECORD, WHOLE_END, "ttylab-progress", "ttylab-apart")
"""Plug-ins that only the controller has."""


def pytest_configure(config: pytest.Config) -> None:
    """Take over the loop, unless there are workers of xdist."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(PlaysApart(), "ttylab-apart")


class PlaysApart:
    """pytest's loop over the items, in another process."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Play all items; those that a worker left when it died are played by the next one."""
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest's own loop says so
        left = list(session.items)
        while left and not session.shouldfail and not session.shouldstop:
            left = left[_play(session, left) :]
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        return True


def _play(session: pytest.Session, items: Sequence[pytest.Item]) -> int:
    """Play items until the worker has ended; return how many it took from the list."""
    fork, hooks = multiprocessing.get_context("fork"), session.config.hook
    ours, theirs = fork.Pipe(duplex=False)
    worker = fork.Process(target=_work, args=(session, items, theirs), name=WORKER)
    with held_back():
        worker.start()
    theirs.close()
    done = 0
    try:
        while True:
            hook, arguments = ours.recv()
            if data := arguments.pop("data", None):
                arguments["report"] = hooks.pytest_report_from_serializable(config=session.config, data=data)
            getattr(hooks, hook)(**arguments)
            done += hook == "pytest_runtest_logfinish"
    except EOFError:
        worker.join()
    finally:
        ours.close()
        _end(worker)
    if done < len(items) and not session.shouldfail and not session.shouldstop:
        hooks.pytest_runtest_logreport(report=_lost(items[done]))
        done += 1
    return done


def _end(worker: ForkProcess) -> None:
    """Wait for the end of a worker, which was interrupted with us or is now."""
    try:
        worker.join(UNWIND_S)
        if worker.is_alive():
            worker.terminate()
            worker.join(UNWIND_S)
    finally:
        worker.kill()
        worker.join()
        worker.close()


def _lost(item: pytest.Item) -> pytest.TestReport:
    """Return what xdist reports of an item whose worker died."""
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=f"worker {WORKER!r} crashed while running {item.nodeid!r}",
        when="???",  # type: ignore[arg-type]  # as pytest-xdist 3.8 has it
    )


class _Teller:
    """Tells the controller what happens to an item, as a worker of xdist does."""

    def __init__(self, config: pytest.Config, link: Connection) -> None:
        self._config = config
        self._link = link

    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        self._link.send(("pytest_runtest_logstart", {"nodeid": nodeid, "location": location}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._link.send(("pytest_runtest_logreport", {"data": data}))

    def pytest_runtest_logfinish(self, nodeid: str, location: object) -> None:
        self._link.send(("pytest_runtest_logfinish", {"nodeid": nodeid, "location": location}))


def _work(session: pytest.Session, items: Sequence[pytest.Item], link: Connection) -> None:
    """Be the worker: play the items, and tell of each."""
    die_with_parent()
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    os.environ["PYTEST_XDIST_WORKER"] = WORKER
    config = session.config
    for name in _OURS:
        if config.pluginmanager.has_plugin(name):
            config.pluginmanager.unregister(name=name)
    config.pluginmanager.register(_Teller(config, link))
    config.pluginmanager.register(InterruptibleTests())
    code = pytest.ExitCode.OK
    try:
        for item, following in zip(items, [*items[1:], None], strict=True):
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail or session.shouldstop:
                break
    except KeyboardInterrupt:
        code = pytest.ExitCode.INTERRUPTED
    config.hook.pytest_sessionfinish(session=session, exitstatus=code)
