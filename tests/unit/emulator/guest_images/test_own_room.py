"""What is made of users' files stays for a while after its last use, and no longer."""

import os
from pathlib import Path

import pytest

from emulator import places
from emulator.clock import utc_now
from emulator.guest_images.hashes import keep_file
from emulator.guest_images.own_room import tidy_own
from emulator.snapshots.room import DAY_S, KEEP_AGE_S

SIZE = 64 << 10


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))


def keep(name: str, *, unused_s: float) -> Path:
    file = keep_file(name * 64, "initrd", lambda: os.urandom(SIZE))
    when = utc_now().timestamp() - unused_s
    os.utime(file.parent, (when, when))
    return file


def test_old_ones_go_and_what_is_used_stays():
    old, young = keep("a", unused_s=KEEP_AGE_S + 60), keep("b", unused_s=KEEP_AGE_S - DAY_S)
    assert tidy_own(dry_run=True) == (old.parent,)
    assert old.exists()
    assert tidy_own() == (old.parent,)
    assert not old.exists()
    assert young.exists()


def test_more_than_fits_goes_after_a_day_the_last_used_last():
    today = [keep(name, unused_s=60) for name in "abc"]
    before = [keep(name, unused_s=days * DAY_S) for name, days in (("d", 2), ("e", 3), ("f", 4))]
    assert tidy_own(max_bytes=4 * SIZE + SIZE // 2) == (before[1].parent, before[2].parent)
    assert all(file.exists() for file in (*today, before[0]))


def test_use_is_noted():
    file = keep("a", unused_s=KEEP_AGE_S + 60)
    assert keep_file("a" * 64, "initrd", lambda: b"not made again") == file
    assert tidy_own() == ()


def test_hashes_are_no_such_files():
    records = places.own_files() / "hashes"
    records.mkdir(parents=True)
    os.utime(records, (0, 0))
    assert tidy_own() == ()
