"""Formats of a run: run.json, and the result.json of each cell."""

import json
from textwrap import indent

import pytest

from emulator.errors import SpecError
from harness.cells.run import read_result
from harness.report.model import load_run
from harness.report.run_file import write_cell, write_run
from harness.verdict import Reason
from tests.support.sample_files import GONE, SAMPLES, damages, sample, says_the_same

OPTIONAL = {
    "step": None, "evidence": [], "injections": [], "findings": [], "stages": [], "steps": [], "argv": [],
    "image": {}, "accelerator": "", "qemu": "", "seed": None, "target": "machine", "start": "booted",
    "shares": [],
}  # fmt: skip
NO = (
    ("cells", GONE), ("version", 2), ("duration_s", "x"), ("more", 1), ("cells.0.cell.id", GONE),
    ("cells.0.status", "odd"), ("cells.0.tags", "boot"), ("cells.0.more", 1), ("cells.0.steps.0.end", GONE),
    ("cells.0.steps.0.outcome", "odd"), ("cells.0.evidence.0.start", 1.5),
)  # fmt: skip


def test_run_and_the_result_of_each_cell(tmp_path):
    run, table = load_run(SAMPLES / "run.json"), json.loads(sample("run.json"))
    assert says_the_same(run, table)
    assert {cell.reason for cell in run.cells} == set(Reason)
    assert write_run(run, tmp_path).read_bytes() == sample("run.json")
    for result in run.cells:
        (tmp_path / result.directory).mkdir(parents=True)
        written = write_cell(result, tmp_path).read_text()
        assert f"\n{indent(written, '  ')}".rstrip() in sample("run.json").decode()
        assert read_result(tmp_path, result.cell.id) == result


def test_run_that_says_little_has_defaults(tmp_path):
    whole = json.loads(sample("run.json"))
    whole["cells"][0] = {key: one for key, one in whole["cells"][0].items() if key not in OPTIONAL}
    defaults = {"version": 1, "interrupted": False, "excluded": []}
    little = {key: one for key, one in whole.items() if key not in defaults}
    (tmp_path / "run.json").write_text(json.dumps(little))
    whole["cells"][0] |= OPTIONAL
    assert says_the_same(load_run(tmp_path), whole | defaults)


def test_damaged_run_and_result_are_refused(tmp_path):
    (tmp_path / "cells/x").mkdir(parents=True)
    for data in damages(sample("run.json"), NO):
        (tmp_path / "run.json").write_bytes(data)
        with pytest.raises(SpecError):
            load_run(tmp_path)
        cells = json.loads(data).get("cells")
        if cells and cells != json.loads(sample("run.json"))["cells"]:
            (tmp_path / "cells/x/result.json").write_text(json.dumps(cells[0]))
            assert read_result(tmp_path, "x") is None
