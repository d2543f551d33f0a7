"""The process that `ttylab run` becomes: pytest with ttylab's exit codes and handling of Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from emulator.files import make_missing
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_USAGE

SCRATCH = "tmp"
"""Directory within the run's for pytest's temporary files, which would otherwise stay in the user's /tmp."""
_INTERRUPT = frozenset({signal.SIGINT})


def become_pytest(arguments: list[str], *, run_dir: Path) -> NoReturn:
    """Replace this process with pytest, so that no parent outlives a run that is killed.

    Ctrl-C is held back until `main` can handle it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    os.execv(  # noqa: S606  # no shell is wanted
        sys.executable, [sys.executable, "-P", "-m", "harness.plugin.process", str(run_dir), *arguments]
    )


def main(run_dir: Path, arguments: list[str]) -> int:
    """Run pytest and return ttylab's exit code; a run that got as far as a cell has reported its own end."""
    scratch = run_dir / SCRATCH
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
        make_missing(run_dir)
        code = pytest.main([f"--basetemp={scratch}", f"--run-dir={run_dir}", *arguments])
    except KeyboardInterrupt:  # while it starts, or a second one while it ends
        sys.stderr.write("\nttylab: interrupted; `ttylab gc` removes what may be left\n")
        return EXIT_INTERRUPTED
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):  # it is not empty
            run_dir.rmdir()
    if code == pytest.ExitCode.INTERRUPTED:
        sys.stderr.write("\nttylab: interrupted before the first cell\n")
    return ttylab_code(int(code))


def ttylab_code(code: int) -> int:
    """Translate pytest's exit code; those that RecordHooks set are ttylab's already."""
    ours = {code: code for code in (0, 1, EXIT_INTERRUPTED)}
    return {**ours, 2: EXIT_INTERRUPTED, 4: EXIT_USAGE, 5: EXIT_USAGE}.get(code, EXIT_BROKEN)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold SIGINT back from this thread and what it starts; a pending one arrives at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_held_back() -> bool:
    """Tell whether this thread was started with SIGINT held back."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


class InterruptibleTests:
    """For a worker that holds SIGINT back: lets it through while a test runs."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Let SIGINT through for one test."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
        try:
            return (yield)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
