"""What commands print as JSON: the summary of `repeat`, and the lists of `run`, `scan` and `scenarios`."""

import json

import pytest

from harness.cli import main
from harness.repeat.plan import Jitter, Repetition
from harness.repeat.summary import Cause, Ending, Hunt, Summary, broken_ending
from harness.scenario.verdict import Status
from tests.support.sample_files import SAMPLES, sample

CELL = "bookworm.q35.seabios.1.nmi-panics"
DIED = Cause(reason="died", rule="panic", title="kernel panic: \u00fc")
LOADED = Repetition(number=3, load=2, delays={1: 0.125, 10: 0.0}, icount_shift=6)
ENDINGS = (
    Ending(repetition=Repetition(number=1), status=Status.PASSED, duration_s=2.0, start="booted"),
    broken_ending(Repetition(number=2), "QEMU is gone", directory="0002"),
    Ending(
        repetition=LOADED, status=Status.FAILED, message="died at 7", cause=DIED, duration_s=1.23456,
        directory="0003/x", start="forked from shell",
    ),
    Ending(
        repetition=Repetition(number=4), status=Status.SKIPPED,
        cause=Cause(reason="unsupported", rule="", title="no NMI"),
    ),
)  # fmt: skip


def test_summary_of_a_hunt_is_as_it_was():
    hunt = Hunt(cell=CELL, seed=7, kinds=frozenset(Jitter), planned=200, jobs=2, options=("--cold",))
    told = Summary(
        hunt=hunt, endings=ENDINGS, duration_s=61.0, interrupted=True, notes=("no state at shell",)
    )
    assert told.to_json().encode() + b"\n" == sample("repeat.json")
    hunt = Hunt(cell=CELL, seed=8, kinds=frozenset({Jitter.LOAD}), planned=None, jobs=1)
    assert Summary(hunt=hunt, endings=(), duration_s=0.0, stopped=True).to_json().encode() + b"\n" == sample(
        "repeat-none.json"
    )


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (["run", "matrix.toml", "--list", "--json"], 0, "run-list.json"),
        (["scan", "--json", "log.txt", "quiet.txt"], 1, "scan.json"),
    ],
)
def test_printed_list_is_as_it_was(monkeypatch, capfd, words, code, name):
    monkeypatch.chdir(SAMPLES / "printed")
    assert main(words) == code
    assert capfd.readouterr().out.encode() == sample(f"printed/{name}")


def test_list_of_scenarios_is_as_it_was(capfd):
    assert main(["scenarios", "list", "--json"]) == 0
    out = capfd.readouterr().out
    kept = json.loads(sample("printed/scenarios-list.json"))
    listed = json.loads(out)
    names = [one["name"] for one in kept]
    assert [one for one in listed if one["name"] in names] == kept
    assert all(list(one) == list(kept[0]) for one in listed)
    assert out == json.dumps(listed, indent=2) + "\n"
