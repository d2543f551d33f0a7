"""A directory with a small matrix, whose cells play on scripted guests under pytest."""

import json
from pathlib import Path

import pytest

from harness.report.model import CellResult, load_run

CHECKOUT = Path(__file__).parents[2]
MATRIX = """
[matrix]
name = "small"
description = "for a test"

[[block]]
images = ["trixie", "bookworm"]
machines = ["q35", "pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["boot-login", "power-button-ignored"]
"""
IDS = [
    f"{image}.{machine}.seabios.1.{scenario}"
    for image in ("bookworm", "trixie")
    for machine in ("pc", "q35")
    for scenario in ("boot-login", "power-button-ignored")
]


def run(project: pytest.Pytester, *options: str, **behaviours: str) -> pytest.RunResult:
    """Run the matrix in this process."""
    ids = {name.replace("_", "."): what for name, what in behaviours.items()}
    known = {next(id_ for id_ in IDS if id_.startswith(short)): what for short, what in ids.items()}
    project.path.joinpath("behaviours.json").write_text(json.dumps(known))
    return project.runpytest_inprocess(*FIXED, *options)


FIXED = (
    "-p",
    "tests.support.fake_lab",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
    "--run-dir",
    "run",
    "small.toml",
)


def cells(project: pytest.Pytester) -> dict[str, CellResult]:
    """Return the cells of the run, by id."""
    return {cell.cell.id: cell for cell in load_run(project.path / "run").cells}
