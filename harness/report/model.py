"""The run result: `ttylab run --json FILE` writes it, and every report is made from it (version 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emulator.errors import SpecError
from emulator.files import read_whole, write_whole
from emulator.values import JSON_MOST, dump_json, load_json
from harness.scenario.settings import Settings
from harness.scenario.verdict import Evidence, Injection

VERSION = 1
RUN_FILE = "run.json"
RESULT_FILE = "result.json"
WORST_FIRST = ("failed", "broken", "not-run", "skipped", "passed")
"""Every status, so that the first of several is the one to report."""

BAD = frozenset({"failed", "broken"})
"""Statuses that somebody must look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecord:
    """Which cell; the names are those of `ttylab run --list --json`."""

    id: str
    image: str
    machine: str
    firmware: str
    vcpus: int
    scenario: str
    settings: Settings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecord:
    """A signature found in the transcript; `expected` if the scenario allows it."""

    rule: str
    kind: str
    title: str
    start: int
    end: int
    fatal: bool
    corrupted: bool
    suppressed: bool
    expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """A stage of a boot; `boot` counts from 0, `at` is seconds since the transcript's epoch."""

    boot: int
    stage: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A step of the scenario; `end` is None if it never ended."""

    text: str
    begin: float
    end: float | None
    outcome: Literal["done", "failed", "broken", "skipped", "not-run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """Everything about one cell's run.

    Its files are in `directory` (relative to the run's directory): console.bin, timeline.jsonl, argv.json,
    qemu.stderr, result.json, and a board's commands.log. `slowdown` is how many times longer its waits were,
    since the host is slow or others used it. `held` says how to join a guest that was kept when its cell
    failed, or why it was not.
    """

    cell: CellRecord
    title: str
    description: str
    severity: str
    tags: tuple[str, ...]
    status: Literal["passed", "failed", "broken", "skipped", "not-run"]
    reason: str
    message: str
    step: int | None = None
    evidence: tuple[Evidence, ...] = ()
    injections: tuple[Injection, ...] = ()
    findings: tuple[FindingRecord, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    started_utc: str
    duration_s: float
    console_bytes: int
    worker: str
    directory: str
    repro: str
    held: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    image: Mapping[str, object] = field(default_factory=dict)
    accelerator: str = ""
    qemu: str = ""
    seed: int | None = None
    target: str = "machine"
    start: str = "booted"
    shares: tuple[str, ...] = ()
    slowdown: float = 1.0
    time_scale: float = 1.0
    time_limit_s: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A whole run; cells are sorted by id.

    `files` are the matrices and tests that were played, as pytest names them; `shard` is "2/5" for a part.
    """

    version: Literal[1] = 1
    run_id: str
    started_utc: str
    duration_s: float
    matrix: str
    files: tuple[str, ...] = ()
    shard: str = ""
    ttylab: str
    host: Mapping[str, object]
    workers: int
    interrupted: bool = False
    excluded: tuple[Mapping[str, str], ...] = ()
    summary: Mapping[str, int]
    cells: tuple[CellResult, ...]


def summary_of(cells: Sequence[CellResult]) -> dict[str, int]:
    """Return how many cells there are, and of each status."""
    counts = {word: sum(cell.status == word for cell in cells) for word in ("passed", *WORST_FIRST[:-1])}
    return {"cells": len(cells), **{word: n for word, n in counts.items() if n or word != "not-run"}}


def load_run(path: Path) -> RunResult:
    """Read a run result; `path` is its file or the run's directory; raises SpecError."""
    file = path / RUN_FILE if path.is_dir() else path
    origin = f"{file}: no run result of version {VERSION}"
    try:
        return load_json(read_whole(file, most=JSON_MOST), RunResult, origin=origin)
    except OSError as error:
        raise SpecError(f"{origin}: {error.strerror}") from error


def write_run(run: RunResult, path: Path) -> Path:
    """Write `run` to the file `path`, or as run.json into that directory; raises FileError."""
    file = path / RUN_FILE if path.is_dir() else path
    write_whole(file, dump_json(run, indent=1) + b"\n", parents=True, private=True)
    return file


def write_cell(result: CellResult, run_dir: Path) -> Path:
    """Write result.json into the cell's directory, whole or not at all; raises FileError."""
    file = run_dir / result.directory / RESULT_FILE
    write_whole(file, dump_json(result, indent=1) + b"\n", parents=True, private=True)
    return file
