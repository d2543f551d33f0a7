"""The process that `ttylab run` becomes: pytest, with Ctrl-C and exit codes as ttylab has them."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from harness.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_USAGE


def become_pytest(arguments: list[str]) -> NoReturn:
    """Replace this process by pytest: nobody is left to outlive the run if it is killed.

    Ctrl-C is held back until `main` can take it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(  # noqa: S606  # no shell is wanted
        sys.executable, [sys.executable, "-P", "-m", "harness.pytest_process", *arguments]
    )


def main(arguments: list[str]) -> int:
    """Run pytest and return ttylab's exit code; a run that could begin has told its end itself."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        import pytest  # noqa: PLC0415 - inside the try, as it takes most of a start

        code = pytest.main(arguments)
    except KeyboardInterrupt:  # while it starts, or for a second time while it ends
        sys.stderr.write("\nttylab: interrupted; `ttylab gc` removes what may be left\n")
        return EXIT_INTERRUPTED
    if code == pytest.ExitCode.INTERRUPTED:
        sys.stderr.write("\nttylab: interrupted before the first cell\n")
    return ttylab_code(int(code))


def ttylab_code(code: int) -> int:
    """Return the exit code for one of pytest's own; RecordHooks' are ttylab's already."""
    return {2: EXIT_INTERRUPTED, 4: EXIT_USAGE, 5: EXIT_USAGE}.get(
        code, code if code in {0, 1, EXIT_INTERRUPTED} else EXIT_BROKEN
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
