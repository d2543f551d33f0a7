"""The process that `ttylab run` becomes: pytest, with Ctrl-C and exit codes as ttylab has them."""

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

from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_USAGE

SCRATCH = "tmp"
"""Directory inside the run's own for pytest's temporary files, which would else stay in the user's /tmp."""


def become_pytest(arguments: list[str], *, run_dir: Path) -> NoReturn:
    """Replace this process by pytest: nobody is left to outlive the run if it is killed.

    Ctrl-C is held back until `main` can take it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(  # noqa: S606  # no shell is wanted
        sys.executable, [sys.executable, "-P", "-m", "harness.plugin.process", str(run_dir), *arguments]
    )


def main(run_dir: Path, arguments: list[str]) -> int:
    """Run pytest and return ttylab's exit code; a run that could begin has told its end itself."""
    scratch = run_dir / SCRATCH
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        import pytest  # noqa: PLC0415 - inside the try, as it takes most of a start

        run_dir.mkdir(parents=True, exist_ok=True)
        code = pytest.main([f"--basetemp={scratch}", f"--run-dir={run_dir}", *arguments])
    except KeyboardInterrupt:  # while it starts, or for a second time while it ends
        sys.stderr.write("\nttylab: interrupted; `ttylab gc` removes what may be left\n")
        return EXIT_INTERRUPTED
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):  # there is something in it
            run_dir.rmdir()
    if code == pytest.ExitCode.INTERRUPTED:
        sys.stderr.write("\nttylab: interrupted before the first cell\n")
    return ttylab_code(int(code))


def ttylab_code(code: int) -> int:
    """Return the exit code for one of pytest's own; RecordHooks' are ttylab's already."""
    return {2: EXIT_INTERRUPTED, 4: EXIT_USAGE, 5: EXIT_USAGE}.get(
        code, code if code in {0, 1, EXIT_INTERRUPTED} else EXIT_BROKEN
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))


_INTERRUPT = frozenset({signal.SIGINT})


@contextmanager
def held_back() -> Iterator[None]:
    """Hold SIGINT back from this thread and from all that it starts; a pending one comes at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_held_back() -> bool:
    """Tell whether this thread was started with SIGINT held back."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


class InterruptibleTests:
    """Registered in a worker that holds SIGINT back: it comes through while a test runs."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Let SIGINT through for one test."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
        try:
            return (yield)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
