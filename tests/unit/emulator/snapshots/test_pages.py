"""Packed RAM: what was packed comes back, zeros are holes, what an image's snapshots share is kept once."""

import random
from pathlib import Path

import pytest

from emulator.errors import SnapshotError
from emulator.snapshots.files import read_facts
from emulator.snapshots.pages import PAGE, PAGES_FILE, base_of, pack_ram, unpack_ram

PAGES = 64
_RANDOM = random.Random(11)


def write_ram(directory: Path, pages: dict[int, bytes], *, count: int = PAGES) -> Path:
    """Write RAM in which every page takes room on disk, and return the file."""
    directory.mkdir(parents=True)
    ram = directory / "ram"
    ram.write_bytes(b"".join(pages.get(index, bytes(PAGE)) for index in range(count)))
    return ram


def noise(count: int) -> list[bytes]:
    return [_RANDOM.randbytes(PAGE) for _ in range(count)]


def test_ram_comes_back_as_it_was(tmp_path: Path) -> None:
    one, other = noise(2)
    ram = write_ram(tmp_path / "a", {0: one, 1: other, 2: one, 7: other, PAGES - 1: b"x" * PAGE})
    facts = read_facts(ram)
    pack_ram(ram, tmp_path / "a" / PAGES_FILE, base=None)
    assert read_facts(ram) == facts
    ram.unlink()
    unpack_ram(tmp_path / "a" / PAGES_FILE, ram)
    assert read_facts(ram) == facts
    assert ram.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["ram", PAGES_FILE]


def test_zero_pages_are_holes_before_and_after(tmp_path: Path) -> None:
    ram = write_ram(tmp_path / "a", {5: noise(1)[0]})
    assert ram.stat().st_blocks * 512 >= PAGES * PAGE
    pack_ram(ram, tmp_path / "a" / PAGES_FILE, base=None)
    assert ram.stat().st_blocks * 512 == PAGE
    unpack_ram(tmp_path / "a" / PAGES_FILE, ram)
    assert ram.stat().st_blocks * 512 == PAGE
    assert ram.stat().st_size == PAGES * PAGE


def test_pages_of_the_base_are_not_kept_again(tmp_path: Path) -> None:
    shared, own = noise(40), noise(3)
    base = write_ram(tmp_path / "base", dict(enumerate(shared))).parent / PAGES_FILE
    pack_ram(base.parent / "ram", base, base=None)
    moved = {index + 10: page for index, page in enumerate(shared)}
    ram = write_ram(tmp_path / "b", moved | dict(enumerate(own)))
    facts = read_facts(ram)
    packed = ram.with_name(PAGES_FILE)
    pack_ram(ram, packed, base=base)
    assert packed.stat().st_size < 5 * PAGE < base.stat().st_size
    assert (base_of(base), base_of(packed)) == ("", "base")
    ram.unlink()
    unpack_ram(packed, ram)
    assert read_facts(ram) == facts


def test_damaged_or_lonely_file_is_refused_and_leaves_no_ram(tmp_path: Path) -> None:
    base = write_ram(tmp_path / "base", dict(enumerate(noise(8)))).parent / PAGES_FILE
    pack_ram(base.parent / "ram", base, base=None)
    ram = write_ram(tmp_path / "b", dict(enumerate(noise(8))))
    packed = ram.with_name(PAGES_FILE)
    pack_ram(ram, packed, base=base)
    ram.unlink()
    whole = packed.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole[:-9] + b"x" + whole[-8:], b"y" + whole[1:]):
        packed.write_bytes(damaged)
        with pytest.raises(SnapshotError, match=r"damaged|no packed RAM"):
            unpack_ram(packed, ram)
    packed.write_bytes(whole)
    base.unlink()
    with pytest.raises(SnapshotError, match="no packed RAM"):
        unpack_ram(packed, ram)
    assert [path.name for path in ram.parent.iterdir()] == [PAGES_FILE]
