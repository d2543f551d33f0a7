"""What GRUB's BIOS parts are told about their places, and what is refused."""

import struct

import pytest

from emulator.errors import ImageError
from emulator.images.boot_disk import place_boot_sector, place_core

BOOT = bytes(0x66) + b"\xeb\x05" + bytes(512 - 0x68)


def core_of(sectors: int, *, rest: int | None = None, segment: int = 0x820) -> bytes:
    first = bytes(500) + struct.pack("<QHH", 2, sectors - 1 if rest is None else rest, segment)
    return first + b"x" * (512 * (sectors - 1) - 100)


def test_boot_sector_loads_the_core_and_checks_the_drive():
    placed = place_boot_sector(BOOT, core_sector=34)
    assert struct.unpack_from("<Q", placed, 0x5C) == (34,)
    assert placed[0x66:0x68] == b"\x90\x90"


@pytest.mark.parametrize("image", [b"", BOOT[:-1], bytes(512)])
def test_boot_sector_is_refused_when_it_is_laid_out_otherwise(image: bytes):
    with pytest.raises(ImageError, match=r"boot\.img is not laid out as that of 2\.06"):
        place_boot_sector(image, core_sector=34)


def test_core_loads_the_rest_from_the_sector_behind_its_first():
    placed = place_core(core_of(5), sector=34, room=5)
    assert struct.unpack_from("<QHH", placed, 500) == (35, 4, 0x820)
    assert placed[512:] == core_of(5)[512:]


@pytest.mark.parametrize(
    ("core", "complaint"),
    [
        (core_of(5, rest=9), "core.img is not laid out"),
        (core_of(5, segment=0), "core.img is not laid out"),
        (b"", "core.img is not laid out"),
        (core_of(6), "takes 6 sectors, there are 5"),
    ],
)
def test_core_is_refused_when_it_is_unknown_or_too_big(core: bytes, complaint: str):
    with pytest.raises(ImageError, match=complaint):
        place_core(core, sector=34, room=5)
