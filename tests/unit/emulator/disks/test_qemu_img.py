"""What qemu-img has against disks that are cut off, and not against whole ones."""

import random
import subprocess

import pytest

from emulator.disks.qemu_img import damage


@pytest.fixture
def make(tmp_path):
    def make(disk_format):
        raw, disk = tmp_path / "raw", tmp_path / "disk"
        raw.write_bytes(random.Random(1).randbytes(12 << 20))
        subprocess.run(["qemu-img", "convert", "-O", disk_format, raw, disk], check=True)
        return disk

    return make


@pytest.mark.parametrize("disk_format", ["qcow2", "vhdx", "vmdk"])
def test_disk_that_is_cut_off_is_told_and_a_whole_one_is_not(make, disk_format):
    disk = make(disk_format)
    assert damage(disk, disk_format=disk_format) == ""
    with disk.open("r+b") as file:
        file.truncate(disk.stat().st_size // 2)
    said = damage(disk, disk_format=disk_format)
    assert said.startswith("it is cut off or damaged: qemu-img check: ")
    assert "\n" not in said


def test_formats_without_a_check_have_nothing_against_them(tmp_path):
    assert damage(tmp_path / "none", disk_format="raw") == ""
