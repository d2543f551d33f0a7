"""Files that users bring for a machine: what is no file, or rests on another, is refused."""

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.disks.formats import DiskFormat
from emulator.errors import SpecError
from emulator.machine.disk_files import require_own_files
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import Disk, MachineSpec, MachineType, WindowsParts
from emulator.snapshots.making import make_maker
from emulator.snapshots.manifest import SnapshotRequest

SPEC = MachineSpec(name="guest", machine=MachineType.PC)


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, timeout=30)


@pytest.fixture
def host_file(tmp_path):
    path = tmp_path / "host-file"
    path.write_bytes(b"for the host's eyes\n" * 100)
    return path


def special_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    return {
        "a FIFO": tmp_path / "fifo",
        "a socket": tmp_path / "socket",
        "a directory": tmp_path,
        "a device": Path("/dev/null"),
    }


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path):
    for kind, path in special_files(tmp_path).items():
        disk = replace(SPEC, disks=(Disk(path=path),))
        cd = replace(SPEC, windows=WindowsParts(cdroms=(path,)))
        for spec in (disk, cd, replace(SPEC, kernel=path), replace(SPEC, kernel=path, initrd=path)):
            with pytest.raises(SpecError, match=f"{path}: is {kind}, not a file"):
                require_own_files(spec)


def test_links_are_followed_and_what_is_missing_is_left_to_qemu(tmp_path, host_file):
    (tmp_path / "link").symlink_to(host_file)
    require_own_files(replace(SPEC, disks=(Disk(path=tmp_path / "link"), Disk(path=tmp_path / "none"))))


def test_no_snapshot_is_made_of_a_disk_that_rests_on_another(tmp_path, host_file):
    path = tmp_path / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-b", host_file, "-F", "raw", path)
    spec = replace(SPEC, disks=(Disk(path=path, format=DiskFormat.QCOW2),))
    choice = Choice(accelerator="tcg", reason="test")
    with pytest.raises(SpecError, match="it rests on the backing file"):
        make_maker(SnapshotRequest(spec=spec, stage="shell", label="x"), find_qemu(), choice)
