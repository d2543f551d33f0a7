"""What of the cache goes: the old, the surplus, the unreadable; never what is in use or being made."""

from pathlib import Path

from filelock import FileLock

from emulator.snapshots.store import (
    DAY_S,
    IN_USE_S,
    CachedSnapshot,
    list_snapshots,
    remove_snapshots,
    surplus,
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
