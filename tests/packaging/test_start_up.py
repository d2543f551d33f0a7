"""What a command imports before it has begun: start-up time, guarded without a clock."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands.run import PYTEST_WORDS

CHECKOUT = Path(__file__).parents[2]
RUNS_GUESTS = {"asyncio", "filelock", "jinja2", "pexpect", "psutil", "pytest", "_pytest", "qemu"}
DRAWS = {"rich"}
READS_TOML = {"pydantic"}  # a third of a start; needed where a file of the user's is checked
PLAYS_NO_CELL = {"anyio", "hypothesis", "schemathesis", "trio", "coverage"}
_IMPORT = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s*(\w+)", re.MULTILINE)


def imported_by(*arguments: str) -> set[str]:
    """Return the top-level names that `ttylab ARGUMENTS` has imported at its end."""
    argv = [sys.executable, "-P", "-X", "importtime", "-m", "harness.cli", *arguments]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    return set(_IMPORT.findall(done.stderr))


@pytest.mark.parametrize(
    "arguments",
    [
        "--version",
        "--help",
        "doctor --help",
        "run --help",
        "boot --help",
        "scan --help",
        "serve --help",
    ],
)
def test_command_that_reads_no_toml_starts_without_anything_heavy(arguments: str) -> None:
    assert imported_by(*arguments.split()) & (RUNS_GUESTS | DRAWS | READS_TOML) == set()


@pytest.mark.parametrize(
    "arguments", ["run --list --json", "images list --json", "scenarios list --json", "scan pyproject.toml"]
)
def test_command_that_prints_json_starts_without_what_runs_guests_or_draws(arguments: str) -> None:
    assert imported_by(*arguments.split()) & (RUNS_GUESTS | DRAWS) == set()


def test_run_loads_no_plug_in_that_plays_no_cell() -> None:
    words = [*PYTEST_WORDS, "--collect-only", "-q", "-n", "0", "-k", "nmi-dazed", "ci/push.toml"]
    argv = [sys.executable, "-P", "-X", "importtime", "-m", "pytest", *words]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    imported = set(_IMPORT.findall(done.stderr))
    assert imported & PLAYS_NO_CELL == set()
    assert "xdist" in imported


def test_import_is_noticed_where_a_command_needs_it() -> None:
    assert imported_by("scenarios", "list") & DRAWS == DRAWS
