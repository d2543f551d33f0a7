"""Formats of a run: run.json, and the result.json of each cell."""

import json
from textwrap import indent

import pytest

from emulator.errors import SpecError
from harness.cells.run import read_result
from harness.report.model import load_run
from harness.report.run_file import write_cell, write_run
from harness.verdict import Reason
from tests.support.sample_files import GONE, SAMPLES, damaged, sample, says_the_same

RUN = "run.json"
CELL = ("cells", 0)
OPTIONAL = {
    "step": None, "evidence": [], "injections": [], "findings": [], "stages": [], "steps": [], "argv": [],
    "image": {}, "accelerator": "", "qemu": "", "seed": None, "target": "machine", "start": "booted",
    "shares": [],
}  # fmt: skip


def test_run_result_is_as_it_was(tmp_path):
    run = load_run(SAMPLES / RUN)
    assert says_the_same(run, json.loads(sample(RUN)))
    assert {cell.reason for cell in run.cells} == set(Reason)
    assert write_run(run, tmp_path) == tmp_path / RUN
    assert (tmp_path / RUN).read_bytes() == sample(RUN)


def test_result_of_each_cell_is_as_it_was(tmp_path):
    for table, result in zip(json.loads(sample(RUN))["cells"], load_run(SAMPLES / RUN).cells, strict=True):
        (tmp_path / table["directory"]).mkdir(parents=True)
        written = write_cell(result, tmp_path).read_text()
        assert f"\n{indent(written, '  ')}".rstrip() in sample(RUN).decode()
        assert read_result(tmp_path, table["cell"]["id"]) == result


def test_cell_that_says_little_has_defaults(tmp_path):
    whole = json.loads(sample(RUN))
    whole["cells"][0] = {key: one for key, one in whole["cells"][0].items() if key not in OPTIONAL}
    for key in ("version", "interrupted", "excluded"):
        del whole[key]
    (tmp_path / RUN).write_text(json.dumps(whole))
    run = load_run(tmp_path)
    assert (run.version, run.interrupted, run.excluded) == (1, False, [])
    assert says_the_same(run.cells[0], whole["cells"][0] | OPTIONAL)


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (["cells"], GONE),
        (["version"], 2),
        (["duration_s"], "x"),
        (["more"], 1),
        ([*CELL, "cell", "id"], GONE),
        ([*CELL, "status"], "odd"),
        ([*CELL, "tags"], "boot"),
        ([*CELL, "more"], 1),
        ([*CELL, "steps", 0, "outcome"], "odd"),
        ([*CELL, "steps", 0, "end"], GONE),
        ([*CELL, "evidence", 0, "start"], 1.5),
    ],
)
def test_damaged_run_and_result_are_refused(tmp_path, keys, to):
    data = damaged(sample(RUN), *keys, to=to)
    (tmp_path / RUN).write_bytes(data)
    with pytest.raises(SpecError):
        load_run(tmp_path)
    if len(keys) > 1:
        table = json.loads(data)["cells"][0]
        (tmp_path / "cells" / "x").mkdir(parents=True)
        (tmp_path / "cells" / "x" / "result.json").write_text(json.dumps(table))
        assert read_result(tmp_path, "x") is None
