"""`ttylab test`: ttylab's own tests through tox, with every argument handed on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import StateError

CHECKOUT = Path(__file__).resolve().parents[2]

app = typer.Typer(add_completion=False)


def tox_command(arguments: list[str]) -> list[str]:
    """Return the argv that tests this checkout; `arguments` are tox's own."""
    return [sys.executable, "-m", "tox", "-c", str(CHECKOUT / "tox.ini"), *arguments]


@app.command("test")
def run_tests(
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments of tox.")] = None,
) -> None:
    """Run ttylab's own tests; everything after `test` goes to tox, and after `--` to pytest.

    Examples: `ttylab test`, `ttylab test -e lint`, `ttylab test -- -k transcript`.
    """
    if not (CHECKOUT / "tox.ini").is_file():
        raise StateError("ttylab's tests are part of its sources, and this is an installed copy without them")
    command = tox_command(arguments or [])
    os.execv(command[0], command)  # noqa: S606 - no shell; the exit code and the signals are tox's own
