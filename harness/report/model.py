"""The run result: what `ttylab run --json FILE` writes and every report is made from (version 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from emulator.errors import SpecError
from emulator.files import write_whole

VERSION = 1
RUN_FILE = "run.json"
RESULT_FILE = "result.json"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CellRecord(_Value):
    """Which cell: the fixed words of `ttylab run --list --json`."""

    id: str
    image: str
    machine: str
    firmware: str
    vcpus: int
    scenario: str


class EvidenceRecord(_Value):
    """A place in the transcript: bytes `[start, end)`, `at` seconds."""

    says: str
    start: int
    end: int
    at: float


class InjectionRecord(_Value):
    """A stimulus and what became of it."""

    stimulus: str
    at: float
    outcome: Literal["effective", "no-effect"]
    latency_s: float | None


class FindingRecord(_Value):
    """A signature found in the transcript; `expected` where the scenario allows it."""

    rule: str
    kind: str
    title: str
    start: int
    end: int
    fatal: bool
    corrupted: bool
    suppressed: bool
    expected: bool


class StageRecord(_Value):
    """A stage of a boot; `boot` counts from 0, `at` is seconds since the transcript's epoch."""

    boot: int
    stage: str
    at: float


class StepRecord(_Value):
    """A step of the scenario; `end` is None where it never ended."""

    text: str
    begin: float
    end: float | None
    outcome: Literal["done", "failed", "broken", "skipped", "not-run"]


class CellResult(_Value):
    """Everything about one cell's run.

    Files lie in `directory` (relative to the run's directory): console.bin, timeline.jsonl, argv.json,
    qemu.stderr, result.json.
    """

    cell: CellRecord
    title: str
    description: str
    severity: str
    tags: list[str]
    status: Literal["passed", "failed", "broken", "skipped"]
    reason: str
    message: str
    step: int | None = None
    evidence: list[EvidenceRecord] = Field(default_factory=list)
    injections: list[InjectionRecord] = Field(default_factory=list)
    findings: list[FindingRecord] = Field(default_factory=list)
    stages: list[StageRecord] = Field(default_factory=list)
    steps: list[StepRecord] = Field(default_factory=list)
    started_utc: str
    duration_s: float
    console_bytes: int
    worker: str
    directory: str
    repro: str
    argv: list[str] = Field(default_factory=list)
    image: dict[str, object] = Field(default_factory=dict)
    accelerator: str = ""
    qemu: str = ""
    seed: int | None = None
    target: str = "machine"
    start: str = "booted"
    shares: list[str] = Field(default_factory=list)


class RunResult(_Value):
    """A whole run; cells are sorted by id."""

    version: Literal[1] = 1
    run_id: str
    started_utc: str
    duration_s: float
    matrix: str
    ttylab: str
    host: dict[str, object]
    workers: int
    interrupted: bool = False
    excluded: list[dict[str, str]] = Field(default_factory=list)
    summary: dict[str, int]
    cells: list[CellResult]


def load_run(path: Path) -> RunResult:
    """Read a run result; `path` is the file or the run's directory.

    Raises:
        SpecError: it can't be read or is of another version.
    """
    file = path / RUN_FILE if path.is_dir() else path
    try:
        return RunResult.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SpecError(f"{file}: no run result of version {VERSION}: {error}") from error


def write_run(run: RunResult, path: Path) -> Path:
    """Write `run` to the file `path`, or as run.json into the directory `path`; return the file.

    Raises:
        FileError: it can't be written; an older file stays as it was.
    """
    file = path / RUN_FILE if path.is_dir() else path
    write_whole(file, run.model_dump_json(indent=1).encode() + b"\n", parents=True)
    return file


def write_cell(result: CellResult, run_dir: Path) -> Path:
    """Write result.json into the cell's directory; return the file.

    Raises:
        FileError: it can't be written; an older file stays as it was.
    """
    file = run_dir / result.directory / RESULT_FILE
    write_whole(file, result.model_dump_json(indent=1).encode() + b"\n", parents=True)
    return file
