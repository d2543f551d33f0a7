"""The note that a state was found whole: relied on for the same files, this boot of the host and an hour."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator.snapshots import files as checked
from emulator.snapshots.files import NOTE, TRUSTED_S, note_check, was_checked

FILES = {"ram": (1, 2, 3), "vm.state": (4, 5, 6)}
NOW = 1_700_000_000.0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    set_time(monkeypatch, NOW)
    note_check(tmp_path, FILES)
    return tmp_path


def set_time(monkeypatch: pytest.MonkeyPatch, at: float) -> None:
    monkeypatch.setattr(checked, "utc_now", lambda: datetime.fromtimestamp(at, UTC))


def test_check_is_relied_on_and_leaves_one_file(here: Path) -> None:
    assert was_checked(here, FILES)
    assert [path.name for path in here.iterdir()] == [NOTE]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"ram": (1, 2, 3)},
        FILES | {"vars.fd": (7, 8, 9)},
        FILES | {"ram": (1, 2, 4)},
        FILES | {"ram": ()},
    ],
    ids=["none", "fewer", "more", "changed", "gone"],
)
def test_check_of_other_files_is_not_relied_on(here: Path, files: dict[str, tuple[int, ...]]) -> None:
    assert not was_checked(here, files)


@pytest.mark.parametrize("later_s", [-1.0, TRUSTED_S, 1e9])
def test_check_ends_with_its_hour_and_with_a_clock_that_went_back(
    here: Path, monkeypatch: pytest.MonkeyPatch, later_s: float
) -> None:
    set_time(monkeypatch, NOW + later_s)
    assert not was_checked(here, FILES)


def test_check_before_the_host_booted_is_not_relied_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "boot_id", lambda: "another boot")
    assert not was_checked(here, FILES)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {}}', "\xff"])
def test_note_that_is_damaged_is_none(here: Path, text: str) -> None:
    here.joinpath(NOTE).write_text(text, encoding="latin-1")
    assert not was_checked(here, FILES)


def test_note_that_can_not_be_written_is_none(tmp_path: Path) -> None:
    note_check(tmp_path / "gone", FILES)
    assert not was_checked(tmp_path / "gone", FILES)
