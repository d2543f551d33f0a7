"""What of the cache goes: the old, the surplus, the unreadable; never what is in use or being made."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from emulator.clock import utc_now
from emulator.snapshots.room import DAY_S, USED, Use, disk_bytes
from emulator.snapshots.store import (
    CACHE_BYTES,
    IN_USE_S,
    KEEP_BYTES,
    CachedSnapshot,
    list_snapshots,
    remove_snapshots,
    snapshots_budget,
    surplus,
    tidy,
)
from tests.support.sample_manifest import MANIFEST


def state(name: str, *, hours: float, mib: int = 100, readable: bool = True) -> CachedSnapshot:
    return CachedSnapshot(
        directory=Path("/cache") / name,
        manifest=MANIFEST if readable else None,
        size=mib * 2**20,
        unused_s=hours * 3600,
    )


def names(states: tuple[CachedSnapshot, ...]) -> list[str]:
    return [one.directory.name for one in states]


def test_surplus_is_what_is_old_or_unreadable() -> None:
    states = (state("new", hours=1), state("old", hours=24 * 15), state("broken", hours=1, readable=False))
    assert names(surplus(states)) == ["broken", "old"]
    assert names(surplus((state("new", hours=1),))) == []


def test_surplus_keeps_the_latest_used_that_fit() -> None:
    states = (state("c", hours=3), state("a", hours=1), state("b", hours=2))
    assert names(surplus(states, max_bytes=250 * 2**20)) == ["c"]
    assert names(surplus(states, max_bytes=0)) == ["a", "b", "c"]


def test_surplus_leaves_what_is_in_use_however_much_it_is() -> None:
    used = state("used", hours=(IN_USE_S - 1) / 3600, readable=False)
    assert names(surplus((used,), max_bytes=0)) == []
    assert names(surplus((used,), max_age_s=0.0)) == ["used"]
    assert names(surplus((state("older", hours=1), used), max_bytes=50 * 2**20)) == ["older"]


def test_pruning_removes_states_and_half_made_ones_but_none_that_is_being_made(tmp_path: Path) -> None:
    for name in ("aa", "bb", ".cc.12.partial", ".dd.13.partial"):
        (tmp_path / name).mkdir()
    (tmp_path / "aa" / "ram").write_bytes(bytes(5000))
    found = list_snapshots(tmp_path)
    assert sorted(names(found)) == ["aa", "bb"]
    assert {one.manifest for one in found} == {None}
    with FileLock(tmp_path / "bb.lock"), FileLock(tmp_path / "dd.lock"):
        removed = remove_snapshots(tmp_path, found)
    assert sorted(path.name for path in removed) == [".cc.12.partial", "aa"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [".dd.13.partial", "bb"]


def test_a_cache_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert list_snapshots(tmp_path / "none") == ()
    assert remove_snapshots(tmp_path / "none", ()) == ()
    assert DAY_S == 86400


def test_base_counts_as_used_with_what_rests_on_it_and_takes_it_along() -> None:
    base, young, old = state("base", hours=9), state("young", hours=1), state("old", hours=5)
    resting = (base, replace(young, base="base"), replace(old, base="base"))
    assert names(surplus(resting, max_bytes=250 * 2**20)) == ["old"]
    assert names(surplus(resting, max_bytes=50 * 2**20)) == ["base", "young", "old"]


def test_ram_that_is_packed_too_is_no_reason_to_remove_a_snapshot() -> None:
    unpacked = replace(state("a", hours=1, mib=100), unpacked=90 * 2**20)
    assert names(surplus((unpacked,), max_bytes=20 * 2**20)) == []
    assert names(surplus((unpacked,), max_bytes=5 * 2**20)) == ["a"]


def test_tidying_keeps_the_budget_by_the_unpacked_ram_of_the_least_used(tmp_path: Path) -> None:
    for number, name in enumerate(("new", "old", "used")):
        directory = tmp_path / name
        directory.mkdir()
        for file, size in (("ram", 40), ("ram.pages", 4)):
            (directory / file).write_bytes(b"x" * size * 4096)
        manifest = replace(MANIFEST, key=name).to_json()
        (directory / "manifest.json").write_text(manifest, encoding="utf-8")
        (directory / USED).touch()
        os.utime(directory / USED, (0, utc_now().timestamp() - 60 * number))
    in_use = Use(tmp_path / "used")
    budget = disk_bytes(tmp_path) - 20 * 4096
    would = tidy(tmp_path, max_bytes=budget, dry_run=True)
    assert tidy(tmp_path, max_bytes=budget) == would == (tmp_path / "old" / "ram",)
    assert disk_bytes(tmp_path) <= budget
    assert sorted(path.parent.name for path in tmp_path.glob("*/ram")) == ["new", "used"]
    assert tidy(tmp_path, max_bytes=budget) == ()
    del in_use
    assert tidy(tmp_path, max_bytes=0) == (tmp_path / "used" / "ram", tmp_path / "new" / "ram")


def test_snapshots_get_what_the_rest_of_the_cache_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path))
    assert snapshots_budget() == CACHE_BYTES
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "kernel").write_bytes(b"x" * 4096)
    assert snapshots_budget() == CACHE_BYTES - 4096
    monkeypatch.setattr("emulator.snapshots.store.disk_bytes", lambda _path: CACHE_BYTES)
    assert snapshots_budget() == KEEP_BYTES
