"""Unpacked RAM: it goes where nobody uses it and it is packed too, and never otherwise."""

from pathlib import Path

import pytest

from emulator.snapshots.pages import PAGES_FILE
from emulator.snapshots.room import RAM_FILE, Use, disk_bytes, drop_unpacked, unpacked_bytes


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    for name in (RAM_FILE, PAGES_FILE, ".ram.12.34.partial"):
        (tmp_path / name).write_bytes(b"x" * 4096)
    return tmp_path


def test_ram_goes_with_what_a_killed_process_left_of_it(snapshot: Path) -> None:
    assert unpacked_bytes(snapshot) == 8192
    assert drop_unpacked(snapshot, dry_run=True)
    assert (snapshot / RAM_FILE).exists()
    assert drop_unpacked(snapshot)
    assert sorted(path.name for path in snapshot.iterdir()) == [PAGES_FILE, "used"]
    assert unpacked_bytes(snapshot) == 0


def test_ram_in_use_stays_until_its_last_user_ends(snapshot: Path) -> None:
    one, other = Use(snapshot), Use(snapshot)
    assert not drop_unpacked(snapshot)
    del one
    assert not drop_unpacked(snapshot)
    assert (snapshot / RAM_FILE).exists()
    del other
    assert drop_unpacked(snapshot)


def test_ram_that_is_nowhere_else_stays(snapshot: Path) -> None:
    (snapshot / PAGES_FILE).unlink()
    assert unpacked_bytes(snapshot) == 0
    drop_unpacked(snapshot)
    assert (snapshot / RAM_FILE).exists()


def test_what_is_gone_is_neither_used_nor_counted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Use(tmp_path / "gone")
    assert not drop_unpacked(tmp_path / "gone")
    assert disk_bytes(tmp_path / "gone") == 0


def test_disk_bytes_are_those_of_all_files_without_holes(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "full").write_bytes(b"x" * 8192)
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 20)
    assert disk_bytes(tmp_path) == 8192
