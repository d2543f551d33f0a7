"""What boots from a disk, by its partition tables."""

import struct

import pytest

from emulator.disks.layout import DiskLayout, esp_start, has_loader, last_byte, read_layout
from emulator.disks.qemu_img import HEAD_BYTES
from emulator.errors import SpecError
from tests.support.disk_heads import BASIC, BIOS_BOOT, EFI, LINUX, RESERVED, gpt, mbr


@pytest.mark.parametrize(
    ("head", "bios", "uefi", "maybe_windows", "firmware"),
    [
        (gpt(EFI, RESERVED, BASIC), False, True, True, "ovmf"),
        (gpt(EFI, LINUX), False, True, False, "ovmf"),
        (gpt(EFI, BASIC, size=0), False, True, False, "ovmf"),
        (gpt(BIOS_BOOT, EFI, LINUX), True, True, False, "seabios"),
        (gpt(BIOS_BOOT, LINUX), True, False, False, "seabios"),
        (mbr(0x07, 0x07), True, False, True, "seabios"),
        (mbr(0x83), True, False, False, "seabios"),
        (mbr(0xEF, 0x83), False, True, False, "ovmf"),
    ],
)
def test_layout_tells_firmware_and_whether_it_may_be_windows(head, bios, uefi, maybe_windows, firmware):
    layout = read_layout(bytes(head), origin="x")
    assert layout == DiskLayout(bios=bios, uefi=uefi, maybe_windows=maybe_windows)
    assert layout.firmware == firmware


def coded(head):
    head[:3] = b"\xeb\x63\x90"
    return head


@pytest.mark.parametrize(
    ("head", "is_there"),
    [
        (mbr(0x83), False),
        (mbr(0x83, 0x82, 0x05), False),
        (gpt(LINUX), False),
        (coded(mbr(0x83)), True),
        (coded(gpt(BIOS_BOOT, LINUX)), True),
        (mbr(0xEF, 0x83), True),
        (mbr(0x0C), True),
        (gpt(EFI, LINUX), True),
        (gpt(BASIC), True),
    ],
)
def test_disk_without_a_loader_is_told(head, is_there):
    assert has_loader(bytes(head)) is is_there


def test_tables_tell_how_long_a_disk_is():
    parts = mbr(0x83, 0x82)
    struct.pack_into("<II", parts, 446 + 8, 2048, 4096)
    struct.pack_into("<II", parts, 446 + 24, 8192, 100)
    assert last_byte(bytes(parts)) == (8192 + 100) * 512
    table = gpt(LINUX)
    struct.pack_into("<Q", table, 512 + 32, 131071)
    assert last_byte(bytes(table)) == (131071 - 33) * 512
    assert [last_byte(head) for head in (b"", bytes(1024), bytes(mbr()), b"\0" * 510 + b"\x55\xaa")] == [
        0
    ] * 4


@pytest.mark.parametrize("head", [b"", bytes(HEAD_BYTES)])
def test_disk_that_nothing_boots_from_is_refused(head):
    with pytest.raises(SpecError, match="x: not a bootable disk: its first sector has no boot signature"):
        read_layout(head, origin="x")


def test_partition_of_uefi_is_found_by_gpt_or_mbr_or_is_none():
    head = gpt(LINUX, EFI)
    struct.pack_into("<Q", head, 1024 + 128 + 32, 2048)
    assert esp_start(bytes(head)) == 1 << 20
    head = mbr(0x83, 0xEF)
    struct.pack_into("<I", head, 446 + 16 + 8, 63)
    assert esp_start(bytes(head)) == 63 * 512
    assert esp_start(bytes(mbr(0x83))) is None
    assert esp_start(bytes(gpt(LINUX))) is None
    assert esp_start(b"") is None
