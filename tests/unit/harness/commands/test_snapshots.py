"""`ttylab snapshots`: what is kept, for people and programs, and what goes."""

import json
import os
from pathlib import Path

import pytest

from emulator.snapshots.snapshot import MANIFEST, USED
from emulator.values import dump_json
from harness import cli
from harness.scenario import exit_codes
from tests.support.report_samples import make_cell, make_run
from tests.support.sample_manifest import MANIFEST as STATE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path))
    return tmp_path / "states"


def keep(root: Path, key: str, *, days: float = 0.0) -> Path:
    directory = root / key
    directory.mkdir(parents=True)
    (directory / MANIFEST).write_text(STATE.to_json())
    (directory / USED).touch()
    when = (directory / USED).stat().st_mtime - days * 86400
    os.utime(directory / USED, (when, when))
    return directory


def says(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = exit_codes.EXIT_PASSED) -> str:
    assert cli.main(["snapshots", *arguments]) == code
    return capfd.readouterr().out


def test_an_empty_cache_says_how_it_fills(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "`ttylab snapshots build`" in says(capfd, "list")
    assert json.loads(says(capfd, "list", "--json")) == []
    assert says(capfd, "prune") == "Nothing to remove.\n"


def test_list_shows_each_state_and_the_unreadable(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keep(root, "aa11")
    (root / "bb22").mkdir()
    shown = says(capfd, "list")
    assert "aa11" in shown
    assert "bookworm" in shown
    assert "unreadable" in shown
    assert "2 snapshots" in shown
    first = json.loads(says(capfd, "list", "--json"))
    assert {one["key"]: one["image"] for one in first} == {"aa11": "bookworm", "bb22": None}


def test_prune_removes_the_old_and_all_on_demand(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keep(root, "new")
    old = keep(root, "old", days=20)
    assert says(capfd, "prune") == f"removed {old}\n"
    keep(root, "week", days=7)
    assert says(capfd, "prune", "--max-age", "30") == "Nothing to remove.\n"
    assert "week" in says(capfd, "prune", "--max-size", "0")
    assert "new" in says(capfd, "prune", "--all")
    assert [path for path in root.iterdir() if path.is_dir()] == []


def test_build_refuses_cells_that_are_not_there(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    matrix = Path(__file__).parents[4] / "ci" / "push.toml"
    assert cli.main(["snapshots", "build", str(matrix), "-k", "nothing_matches"]) == exit_codes.EXIT_USAGE
    assert "no cell matches -k 'nothing_matches'" in capfd.readouterr().err


def test_agree_ends_with_1_where_verdicts_differ(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    passed, failed = make_run(make_cell(start="forked from shell 12")), make_run(make_cell("failed"))
    for name, run in (("one", passed), ("same", passed), ("other", failed)):
        (tmp_path / name).write_bytes(dump_json(run))
    one, same, other = (str(tmp_path / name) for name in ("one", "same", "other"))
    assert "0 verdicts differ" in says(capfd, "agree", one, same)
    shown = says(capfd, "agree", one, other, code=exit_codes.EXIT_FAILED)
    assert "passed (none), but failed (died) at step 1" in shown
    assert "1 cells, 1 of them forked" in shown


def test_former_name_is_answered_to(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path))
    assert cli.main(["states", "list"]) == exit_codes.EXIT_PASSED
    assert "No snapshots are kept" in capfd.readouterr().out
