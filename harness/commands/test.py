"""`ttylab test`: ttylab's own tests through tox, with every argument passed on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from typer import Argument

from emulator.errors import StateError

CHECKOUT = Path(__file__).resolve().parents[2]


def test(
    arguments: Annotated[
        list[str], Argument(default_factory=list, show_default=False, help="Arguments of tox.")
    ],
) -> None:
    """Run ttylab's own tests; everything after `test` goes to tox, and after `--` to pytest.

    Examples: `ttylab test`, `ttylab test -e lint`, `ttylab test -- -k transcript`.
    """
    if not (CHECKOUT / "tox.ini").is_file():
        raise StateError("ttylab's tests come with its sources; this is an installed copy without them")
    command = [sys.executable, "-m", "tox", "-c", str(CHECKOUT / "tox.ini"), *arguments]
    os.execv(command[0], command)  # noqa: S606 - no shell; exit code and signals are tox's own
