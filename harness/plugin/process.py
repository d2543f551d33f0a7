"""pytest as `ttylab run` has it: with ttylab's exit codes and handling of Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import pytest

from emulator.program import called
from harness.run.interrupts import ENDINGS, let_through, unwind_on
from harness.run.own_run import forget_own_run
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_USAGE

SCRATCH = "tmp"
"""Directory within the run's for pytest's temporary files, which would otherwise stay in the user's /tmp."""
RUN_DIRECTORY = "ttylab-run-dir"
"""Name under which workers find the run's directory in their `workerinput`."""
WHOLE_END = "ttylab-whole-end"
"""Name under which the plug-in registers its WholeEnd."""


def become_pytest(arguments: list[str], *, run_dir: Path) -> int:
    """Run pytest in this process, so that no parent outlives a run that is killed; return ttylab's exit code.

    Raises:
        KeyboardInterrupt: it was interrupted before the first cell, or again while it ended; otherwise a run
            that was interrupted has reported what was played.
    """
    scratch = run_dir / f"{SCRATCH}.{os.getpid()}"  # never that of another run in the same directory
    by_hand = _ByHand()
    try:
        unwind_on(signal.SIGTERM, signal.SIGHUP, again=True)
        code = pytest.main([f"--basetemp={scratch}", f"--run-dir={run_dir}", *arguments], plugins=[by_hand])
    except KeyboardInterrupt:  # while it starts, or a second one while it ends
        sys.stderr.write(f"\nttylab: `{called('gc')}` removes what may be left\n")
        raise
    except Exception:  # noqa: BLE001  # a defect of a plug-in: Python's own code would say that a guest failed
        traceback.print_exc()
        return EXIT_BROKEN
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        forget_own_run(run_dir)
        with suppress(OSError):  # it is not empty
            run_dir.rmdir()
    if by_hand.ended and not run_dir.exists():
        raise KeyboardInterrupt
    if code == EXIT_INTERRUPTED and not by_hand.ended:
        sys.stderr.write("ttylab: interrupted at its end; what was played is reported\n")
    return ttylab_code(int(code))


def ttylab_code(code: int) -> int:
    """Translate pytest's exit code; those that RecordHooks set are ttylab's already."""
    ours = {code: code for code in (0, 1, EXIT_INTERRUPTED)}
    return {**ours, 2: EXIT_USAGE, 4: EXIT_USAGE, 5: EXIT_USAGE}.get(code, EXIT_BROKEN)


class WholeEnd:
    """For the controller: the run's result is written whatever ends the other plug-ins' ends.

    It is registered apart from `RecordHooks`, whose own hook comes last of all.
    """

    def __init__(self, finish: Callable[[pytest.Session], None]) -> None:
        self._finish = finish

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write the result if nobody came to it; a plug-in's end that is interrupted is at its end."""
        try:
            yield
        except KeyboardInterrupt:
            self._finish(session)
            session.exitstatus = EXIT_INTERRUPTED
        except BaseException:
            self._finish(session)
            raise


class _ByHand:
    """Notes whether the session was ended by Ctrl-C, before any other plug-in is there."""

    def __init__(self) -> None:
        self.ended = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note it; pytest's and xdist's own Interrupted derive from KeyboardInterrupt."""
        self.ended = excinfo.type is KeyboardInterrupt


class InterruptibleTests:
    """For a worker that holds back what asks a run to end: lets it through while a test runs."""

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        unwind_on(signal.SIGTERM, signal.SIGHUP, again=True)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Let them through for one test."""
        with let_through():
            return (yield)
