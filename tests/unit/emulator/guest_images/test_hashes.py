"""Hashes of users' files: right, remembered, and forgotten as soon as the file is another."""

import hashlib
import os

import pytest

from emulator import places
from emulator.errors import SpecError
from emulator.guest_images import hashes
from emulator.guest_images.hashes import hash_once


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def reads(monkeypatch):
    seen = []
    monkeypatch.setattr(hashes, "hash_file", lambda path: (seen.append(path), digest(path.read_bytes()))[1])
    return seen


def test_untouched_file_is_read_once(tmp_path, reads):
    disk = tmp_path / "d.img"
    disk.write_bytes(b"abc")
    assert [hash_once(disk), hash_once(disk)] == [digest(b"abc")] * 2
    assert len(reads) == 1


def test_changed_file_is_read_again_even_if_size_and_time_are_the_same(tmp_path, reads):
    disk = tmp_path / "d.img"
    disk.write_bytes(b"abc")
    hash_once(disk)
    was = disk.stat()
    disk.write_bytes(b"xyz")
    os.utime(disk, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert hash_once(disk) == digest(b"xyz")
    assert len(reads) == 2


def test_damaged_record_is_no_hash(tmp_path, reads):
    disk = tmp_path / "d.img"
    disk.write_bytes(b"abc")
    hash_once(disk)
    (record,) = (places.own_files() / "hashes").glob("*.json")
    record.write_bytes(b'{"sha256": 1')
    assert hash_once(disk) == digest(b"abc")


def test_file_that_changes_under_the_hash_is_refused(tmp_path, monkeypatch):
    disk = tmp_path / "d.img"
    disk.write_bytes(b"abc")
    monkeypatch.setattr(hashes, "hash_file", lambda path: str(path.write_bytes(b"longer")))
    with pytest.raises(SpecError, match=r"d\.img is being written"):
        hash_once(disk)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        hash_once(tmp_path / "none")
