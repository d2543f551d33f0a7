"""The initramfs writer: what it writes, and what it refuses."""

import gzip

import pytest

from emulator.errors import SpecError
from emulator.kernel_files import cpio


def test_archive_starts_with_the_newc_magic_and_ends_with_the_trailer_on_a_full_block():
    archive = cpio.write_archive([cpio.file("init", b"#!/bin/sh\n", 0o755)])
    assert archive.startswith(b"070701")
    assert b"TRAILER!!!" in archive
    assert len(archive) % 512 == 0


def test_archive_holds_the_header_fields_of_a_file():
    archive = cpio.write_archive([cpio.file("init", b"abc", 0o755)])
    fields = [int(archive[6 + 8 * index : 14 + 8 * index], 16) for index in range(13)]
    inode, mode, uid, gid, links, mtime, size, _, _, _, _, name_size, check = fields
    assert (inode, mode, uid, gid, links, mtime, size) == (1, 0o100755, 0, 0, 1, 0, 3)
    assert (name_size, check) == (5, 0)
    assert archive[110:116] == b"init\0\0"


def test_archive_holds_device_numbers():
    archive = cpio.write_archive([cpio.character_device("console", 5, 1)])
    assert (archive[6 + 72 : 6 + 80], archive[6 + 80 : 6 + 88]) == (b"00000005", b"00000001")


def test_archive_gets_the_directories_above_a_file_before_it():
    archive = cpio.write_archive([cpio.file("etc/acpi/PWRF", b"")])
    positions = [archive.index(name) for name in (b"etc\0", b"etc/acpi\0", b"etc/acpi/PWRF\0")]
    assert positions == sorted(positions)


def test_archive_is_the_same_when_nodes_come_in_another_order():
    nodes = [cpio.file("b", b"2"), cpio.symlink("a", "b"), cpio.directory("c")]
    assert cpio.write_archive(nodes) == cpio.write_archive(reversed(nodes))


@pytest.mark.parametrize("path", ["", "/init", "a//b", "a/../b", "./a"])
def test_archive_refuses_a_path_that_is_not_plain(path: str):
    with pytest.raises(SpecError, match="must be relative"):
        cpio.write_archive([cpio.file(path, b"")])


def test_archive_refuses_a_path_given_twice():
    with pytest.raises(SpecError, match="given twice"):
        cpio.write_archive([cpio.file("a", b""), cpio.directory("a")])


def test_initramfs_is_gzip_without_time_and_name():
    packed = cpio.write_initramfs([cpio.file("init", b"")])
    assert packed[:10][3:8] == b"\0" * 5  # flags, then the time
    assert gzip.decompress(packed) == cpio.write_archive([cpio.file("init", b"")])
