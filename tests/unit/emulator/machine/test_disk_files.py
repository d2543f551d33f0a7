"""A user's disk rests on no other file: what qemu-img makes is told apart by its header alone."""

import os
import socket
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.disks.formats import DiskFormat
from emulator.errors import SpecError
from emulator.machine.disk_files import outside_file, require_own_disk, require_own_files
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


BACKED = {
    "a path": "{file}",
    "json": 'json:{{"driver":"raw","file":{{"driver":"file","filename":"{file}"}}}}',
    "nbd": "nbd:localhost:1",
    "relative": "host-file",
}


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
@pytest.mark.parametrize("name", BACKED.values(), ids=BACKED)
def test_backing_file_is_found_in_whatever_words(tmp_path, host_file, name, compat):
    backing = name.format(file=host_file)
    words = ("-f", "qcow2", "-u", "-o", f"compat={compat}", "-b", backing, "-F", "raw")
    made = tmp_path / "disk.qcow2"
    qemu_img("create", "-q", *words, made, "1M")
    assert outside_file(made, DiskFormat.QCOW2) == f"the backing file '{backing}'"
    with pytest.raises(SpecError, match=r"disk .*disk.qcow2: it rests on .* qemu-img convert -f qcow2 -O"):
        require_own_disk(made, DiskFormat.QCOW2)
    require_own_disk(made, DiskFormat.RAW)  # its guest sees the header, and no other file


def test_external_data_file_is_found(tmp_path):
    made = tmp_path / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data,data_file_raw=on", made, "1M")
    assert outside_file(made, DiskFormat.QCOW2) == "an external data file"


def test_parent_of_a_vhdx_is_found(tmp_path):
    path = tmp_path / "disk.vhdx"
    qemu_img("create", "-q", "-f", "vhdx", path, "8M")
    assert outside_file(path, DiskFormat.VHDX) == ""
    disk = bytearray(path.read_bytes())
    region = disk.index(bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e"))
    (metadata,) = struct.unpack_from("<Q", disk, region + 16)
    item = disk.index(bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"), metadata)
    (place,) = struct.unpack_from("<I", disk, item + 16)
    disk[metadata + place + 4] |= 2
    path.write_bytes(disk)
    assert outside_file(path, DiskFormat.VHDX) == "a parent disk"


@pytest.mark.parametrize("size", [0, 3, 71, 79])
def test_whole_and_cut_disks_rest_on_nothing(tmp_path, size):
    path = tmp_path / "disk.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", path, "1M")
    qemu_img("snapshot", "-c", "one", path)
    require_own_disk(path, DiskFormat.QCOW2)
    for kind in (DiskFormat.QCOW2, DiskFormat.VHDX):
        path.write_bytes(path.read_bytes()[:size])
        assert outside_file(path, kind) == ""


def test_offsets_beyond_every_file_are_survived(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(b"QFI\xfb" + b"\xff" * 100)
    assert outside_file(path, DiskFormat.QCOW2) == "the backing file ''"
    region = b"regi" + bytes(4) + b"\xff" * 4 + bytes(4)
    region += bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e") + b"\xff" * 16
    path.write_bytes(bytes(0x30000) + region)
    assert outside_file(path, DiskFormat.VHDX) == ""


def test_name_of_a_backing_file_is_escaped(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 2, 72, 4).ljust(72, b"\0") + b"\x1b]0\n")
    assert outside_file(path, DiskFormat.QCOW2) == r"the backing file '\x1b]0\n'"


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
