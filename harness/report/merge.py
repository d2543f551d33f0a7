"""Several runs as one: the shards of a matrix, each played by a machine of its own."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emulator.errors import FileError, SpecError
from emulator.files import make_private_directory
from harness.report.allure import RESULTS_DIRECTORY
from harness.report.model import RUN_FILE, RunResult, load_run, summary_of, write_run

_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")
_EVIDENCE = ("cells", RESULTS_DIRECTORY)


def merge_runs(runs: Mapping[str, RunResult], into: Path) -> RunResult:
    """Return the runs as one that is in the directory `into`; `runs` are by directory, for complaints.

    It lasted as long as the longest, on the first one's host. Raises SpecError if a cell is in two of them.
    """
    played: dict[str, str] = {}
    for name, run in runs.items():
        for one in run.cells:
            if (other := played.setdefault(one.cell.id, name)) != name:
                raise SpecError(f"{one.cell.id} was played in {other} and in {name}; give one of them")
    every = list(runs.values())
    ordered = sorted((one for run in every for one in run.cells), key=lambda one: one.cell.id)
    cells = tuple(replace(one, repro=_again(one.repro, into)) for one in ordered)
    left_out = {str(sorted(one.items())): one for run in every for one in run.excluded}
    return RunResult(
        run_id=into.absolute().name,
        started_utc=min(run.started_utc for run in every),
        duration_s=max(run.duration_s for run in every),
        matrix=" + ".join(dict.fromkeys(run.matrix for run in every)),
        files=tuple(dict.fromkeys(file for run in every for file in run.files)),
        ttylab=every[0].ttylab,
        host=every[0].host,
        workers=sum(run.workers for run in every),
        interrupted=any(run.interrupted for run in every),
        excluded=tuple(left_out[key] for key in sorted(left_out)),
        summary=summary_of(cells),
        cells=cells,
    )


def _again(repro: str, into: Path) -> str:
    """Return the command that reproduces a cell, from the run that is `into` now."""
    words = shlex.split(repro)
    for index, word in enumerate(words[:-1]):
        if word == "--run":
            words[index + 1] = str(into)
    return shlex.join(words)


def missing_shards(runs: Sequence[RunResult]) -> tuple[str, ...]:
    """Return the shards ("2/5") of which no run is there, though another one's is."""
    named = (_SHARD.fullmatch(run.shard) for run in runs)
    there = {(int(one[1]), int(one[2])) for one in named if one}
    counts = sorted({count for _, count in there})
    return tuple(f"{i}/{n}" for n in counts for i in range(1, n + 1) if (i, n) not in there)


def write_merged(directories: Sequence[Path], into: Path) -> tuple[RunResult, tuple[str, ...]]:
    """Write the runs in `directories` with their evidence as one run; return it and the shards that lack.

    Raises:
        SpecError: one is no run, two have a cell in common, or `into` holds a run already.
        FileError: evidence can't be copied; `into` then has a part of it and no run.json.
    """
    runs = {str(each): load_run(each) for each in directories}
    merged = merge_runs(runs, into)
    if (into / RUN_FILE).exists():
        raise SpecError(f"{into} holds a run already, which stays as it is; choose another directory")
    make_private_directory(into, users=True)
    try:
        for source in (each / name for each in directories for name in _EVIDENCE):
            if source.is_dir():
                shutil.copytree(source, into / source.name, symlinks=True, dirs_exist_ok=True)
    except OSError as error:
        raise FileError(f"evidence can't be copied into {into}: {error}") from error
    write_run(merged, into)
    return merged, missing_shards(list(runs.values()))
