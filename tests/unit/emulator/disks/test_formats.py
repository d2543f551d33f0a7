"""Disks by their files alone: format, what they rest on, what is cut off; qemu-img makes them."""

import struct
import subprocess

import pytest

from emulator.disks.formats import DiskFormat, detect_format, format_of, obstacle, outside_file
from emulator.errors import SpecError
from emulator.machine.disk_files import require_own_disk
from tests.support.disk_heads import mbr


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, timeout=30)


@pytest.fixture
def host_file(tmp_path):
    path = tmp_path / "host-file"
    path.write_bytes(b"for the host's eyes\n" * 100)
    return path


MADE = {
    "raw": ("raw", DiskFormat.RAW),
    "qcow2": ("qcow2", DiskFormat.QCOW2),
    "old qcow2": ("qcow2 -o compat=0.10", DiskFormat.QCOW2),
    "vhd": ("vpc", DiskFormat.VHD),
    "fixed vhd": ("vpc -o subformat=fixed,force_size=on", DiskFormat.VHD),
    "vhdx": ("vhdx", DiskFormat.VHDX),
    "fixed vhdx": ("vhdx -o subformat=fixed", DiskFormat.VHDX),
    "vmdk": ("vmdk", DiskFormat.VMDK),
    "streamed vmdk": ("vmdk -o subformat=streamOptimized", DiskFormat.VMDK),
}


@pytest.fixture(params=MADE.values(), ids=MADE)
def made(request, tmp_path, host_file):
    """A whole disk with something on it, and its format."""
    words, disk_format = request.param
    path = tmp_path / "disk"
    host_file.write_bytes(bytes(mbr(0x83)) + b"x" * (3 << 20) + bytes(12 << 20))
    qemu_img("convert", "-q", "-f", "raw", "-O", *words.split(), host_file, path)
    return path, disk_format


def test_format_is_what_the_file_says_and_a_whole_disk_has_no_obstacle(made):
    path, disk_format = made
    assert (detect_format(path), obstacle(path, disk_format)) == (disk_format, "")


def test_disk_that_is_cut_off_is_told(made):
    path, disk_format = made
    whole = path.read_bytes()
    for keep in (40, 600, len(whole) // 2):
        path.write_bytes(whole[:keep])
        found = detect_format(path)
        told = obstacle(path, found)
        if keep == 600 and disk_format is not DiskFormat.RAW:
            assert found is DiskFormat.RAW or "cut off" in told  # a fixed VHD's only mark is at its end


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


@pytest.mark.parametrize(
    ("words", "rests_on"),
    [
        (("-f", "vmdk", "-o", "subformat=monolithicFlat"), "other files"),
        (("-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"), "other files"),
    ],
)
def test_descriptor_of_extents_is_found(tmp_path, words, rests_on):
    path = tmp_path / "disk.vmdk"
    qemu_img("create", "-q", *words, path, "8M")
    assert (detect_format(path), outside_file(path, DiskFormat.VMDK)) == (DiskFormat.VMDK, rests_on)


def test_parents_of_a_vmdk_and_of_a_vhd_are_found(tmp_path):
    base, child = tmp_path / "base.vmdk", tmp_path / "child.vmdk"
    qemu_img("create", "-q", "-f", "vmdk", base, "8M")
    qemu_img("create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", child)
    assert outside_file(child, DiskFormat.VMDK) == "a parent disk"
    vhd = tmp_path / "disk.vhd"
    qemu_img("create", "-q", "-f", "vpc", vhd, "8M")
    assert outside_file(vhd, DiskFormat.VHD) == ""
    content = bytearray(vhd.read_bytes())
    for at in (0, len(content) - 512):
        struct.pack_into(">I", content, at + 60, 4)  # a differencing disk
    vhd.write_bytes(content)
    assert outside_file(vhd, DiskFormat.VHD) == "a parent disk"


def test_encrypted_disk_is_told(tmp_path):
    """By their heads: qemu-img makes such disks, but not while a host is too busy to time its key (7.2)."""
    luks, qcow2 = tmp_path / "luks.img", tmp_path / "disk.qcow2"
    luks.write_bytes(b"LUKS\xba\xbe\x00\x01aes".ljust(4096, b"\0"))
    qemu_img("create", "-q", "-f", "qcow2", qcow2, "8M")
    with qcow2.open("r+b") as file:
        file.seek(32)
        file.write(struct.pack(">I", 2))  # crypt_method of qcow2's header of QEMU: LUKS
    for path in (luks, qcow2):
        assert "encrypted as a whole" in obstacle(path, detect_format(path))


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (bytes(0x8001) + b"CD001", "an ISO"),
        (bytes(0x40) + b"\x7f\x10\xda\xbe", "a VDI disk, which qemu-img convert"),
        (b"\x1f\x8b\x08", "packed by gzip"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x7fELF\x02", "an ELF file"),
    ],
)
def test_what_is_no_disk_is_named(head, what):
    with pytest.raises(SpecError, match=rf"disk x: it is {what}.*; taken are raw, qcow2, VHD, VHDX, VMDK"):
        format_of(head + bytes(600), bytes(512), origin="x")
