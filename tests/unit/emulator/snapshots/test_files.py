"""Facts of files: content and length count, holes and zeros are the same, a changed file is read anew."""

import os
from pathlib import Path

from emulator.files import identity
from emulator.snapshots.files import read_facts, remembered_facts

MIB = 2**20


def sparse(path: Path, *, size: int, parts: dict[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in parts.items():
            os.pwrite(file.fileno(), data, offset)
    return path


def test_facts_do_not_depend_on_holes(tmp_path: Path) -> None:
    parts = {3 * MIB + 7: b"text", 9 * MIB: b"x" * 5000}
    holed = sparse(tmp_path / "holed", size=12 * MIB, parts=parts)
    whole = tmp_path / "whole"
    whole.write_bytes(holed.read_bytes())
    assert holed.stat().st_blocks < whole.stat().st_blocks
    assert read_facts(holed) == read_facts(whole)


def test_facts_differ_by_a_bit_a_place_and_a_length(tmp_path: Path) -> None:
    facts = {
        read_facts(sparse(tmp_path / name, size=size, parts=parts)).sha256
        for name, size, parts in (
            ("a", 4 * MIB, {MIB: b"\x01"}),
            ("b", 4 * MIB, {MIB: b"\x03"}),
            ("c", 4 * MIB, {MIB + 1: b"\x01"}),
            ("d", 4 * MIB, {2 * MIB: b"\x01"}),
            ("e", 4 * MIB + 1, {MIB: b"\x01"}),
            ("f", 4 * MIB, {}),
            ("g", 0, {}),
        )
    }
    assert len(facts) == 7


def test_remembered_facts_follow_a_file_that_is_replaced(tmp_path: Path) -> None:
    path = sparse(tmp_path / "file", size=MIB, parts={0: b"one"})
    first = remembered_facts(path)
    assert remembered_facts(path) == first
    sparse(tmp_path / "other", size=MIB, parts={0: b"two"}).replace(path)
    assert remembered_facts(path) != first


def test_identity_is_empty_for_what_is_not_there(tmp_path: Path) -> None:
    assert identity(tmp_path / "nothing") == ()
