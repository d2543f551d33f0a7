"""Start `ttylab`: Ctrl-C ends it with one line from the first moment, even during imports."""

from __future__ import annotations

import sys

from harness.scenario.exit_codes import EXIT_INTERRUPTED


def main() -> int:
    """Run one command and return the process's exit code."""
    try:
        from harness.cli import main as run  # noqa: PLC0415 - inside the try: it is most of a start

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("ttylab: interrupted\n")
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
