"""What boots from a disk, by its partition tables."""

import struct

import pytest

from emulator.disks.layout import DiskLayout, esp_start, read_layout
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
