"""Disks that QEMU can't save get a copy that it can, once; others are taken as they are."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest

from emulator.disks import convert
from emulator.disks.convert import DiskFile, savable_file
from emulator.disks.formats import DiskFormat
from emulator.errors import ImageError
from emulator.work import listening

SIZE = 8 << 20


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "own"


@pytest.fixture
def make(tmp_path):
    def make(disk_format, *options):
        raw, disk = tmp_path / "raw", tmp_path / f"disk.{disk_format}"
        raw.write_bytes(b"hello".ljust(SIZE, b"\0"))
        subprocess.run(["qemu-img", "convert", "-O", disk_format, *options, raw, disk], check=True)
        return disk

    return make


def savable(path, disk_format, *, build=True):
    told = []
    with listening(lambda _what, stage, _fraction: told.append(stage)):
        found = savable_file(path, DiskFormat(disk_format), digest="d" * 64, build=build)
    return found, told


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_disk_that_can_be_saved_is_taken_as_it_is(make, disk_format):
    disk = make(disk_format)
    assert savable(disk, disk_format) == (DiskFile(path=disk, format=DiskFormat(disk_format)), [])


def test_fixed_vhd_is_a_raw_disk_without_its_footer(make):
    disk = make("vpc", "-o", "subformat=fixed,force_size")
    found, told = savable(disk, "vpc")
    assert (found.path, found.format, told) == (disk, DiskFormat.RAW, [])
    assert found.size == disk.stat().st_size - 512


@pytest.mark.parametrize(
    ("disk_format", "options"), [("vpc", ["-o", "subformat=dynamic"]), ("vhdx", []), ("vmdk", [])]
)
def test_others_are_copied_once(make, cache, disk_format, options):
    disk = make(disk_format, *options)
    before = disk.read_bytes()
    found, told = savable(disk, disk_format)
    assert found == DiskFile(path=cache / ("d" * 16) / "disk.qcow2", format=DiskFormat.QCOW2)
    assert [line.partition(" ")[0] for line in told] == ["copying", "ready"]
    assert subprocess.run(["qemu-img", "compare", disk, found.path], stdout=subprocess.DEVNULL, check=True)
    assert savable(disk, disk_format) == (found, [])
    assert disk.read_bytes() == before
    assert [path.name for path in found.path.parent.iterdir() if "partial" in path.name] == []


def test_nothing_is_copied_where_nothing_may_be_built(make, cache):
    disk = make("vhdx")
    assert savable(disk, "vhdx", build=False) == (DiskFile(path=disk, format=DiskFormat.VHDX), [])


def test_disk_that_is_too_large_is_booted_itself(make, monkeypatch):
    monkeypatch.setattr(convert, "CONVERTED_MOST", 1000)
    disk = make("vmdk")
    assert savable(disk, "vmdk")[0].path == disk


def test_disk_for_whose_copy_there_is_no_room_is_booted_itself(make, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    disk = make("vmdk")
    assert savable(disk, "vmdk")[0].path == disk


def test_damaged_disk_is_told_and_leaves_nothing(tmp_path, cache):
    disk = tmp_path / "disk.vhdx"
    disk.write_bytes(b"vhdxfile" + bytes(1 << 20))
    with pytest.raises(ImageError, match="qemu-img convert failed"):
        savable(disk, "vhdx")
    assert not list(cache.rglob("*.qcow2"))
