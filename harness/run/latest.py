"""Which run of this working directory is the newest, wherever its evidence is: no clock is asked."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from emulator import places
from emulator.clock import utc_now
from emulator.files import make_private_directory, write_whole
from emulator.places import RESULTS

REPRO_PREFIX = "repro-"
"""Prefix of the names of reproductions' own directories, which are not runs to reproduce."""
_KEPT = 200
"""Runs that are remembered, of all working directories together."""


def new_run_id() -> str:
    """Return a name for a run: its time in UTC and four random digits, so that two at once differ."""
    return f"{utc_now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def remember_run(run_dir: Path) -> None:
    """Note that a run was started here, for `latest_runs`; raises FileError if it can't be noted."""
    file = places.latest_runs()
    make_private_directory(file.parent)
    told = [*_noted(), (str(Path.cwd()), str(run_dir.absolute()))]
    lines = (json.dumps({"from": here, "run": run}) + "\n" for here, run in told[-_KEPT:])
    write_whole(file, "".join(lines).encode(), private=True)


def latest_runs() -> Iterator[Path]:
    """Give the directories of this working directory's runs, the newest first, as one types them here.

    Those that are noted come first, in the order in which they were started; then what else lies in results/,
    by name.
    """
    here = Path.cwd()
    noted = [Path(run) for where, run in _noted() if where == str(here)]
    kept = sorted(path.absolute() for path in RESULTS.glob("*/") if not path.name.startswith(REPRO_PREFIX))
    for run in dict.fromkeys([*reversed(noted), *reversed(kept)]):
        if run.is_dir():
            yield run.relative_to(here) if run.is_relative_to(here) else run


def _noted() -> list[tuple[str, str]]:
    lines: list[str] = []
    with suppress(OSError):
        lines = places.latest_runs().read_text(encoding="utf-8", errors="replace").splitlines()
    found = []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError):  # a line that is damaged names no run
            told = json.loads(line)
            found.append((str(told["from"]), str(told["run"])))
    return found
