"""Start `ttylab`: Ctrl-C ends it with one line from the first moment, even during imports."""

from __future__ import annotations

import os
import sys

from emulator.program import note_call
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_PASSED


def main() -> int:
    """Run one command and return the process's exit code."""
    try:
        open_missing_streams()
        note_call()
        from harness.cli import main as run  # noqa: PLC0415 - inside the try: it is most of a start

        return _with_all_output(run())
    except KeyboardInterrupt:
        sys.stderr.write("ttylab: interrupted\n")
        return EXIT_INTERRUPTED


def open_missing_streams() -> None:
    """Put /dev/null where the caller closed a standard stream (`>&-`), before a file takes its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            # opened as the lowest free number, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _with_all_output(code: int) -> int:
    """Return the exit code; 3 instead of 0 if output is left that can't be written, where Python has 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = EXIT_BROKEN if code == EXIT_PASSED else code
    return code


if __name__ == "__main__":
    sys.exit(main())
