"""PPM to BMP."""

import struct

import pytest

from emulator.errors import LabError
from emulator.service.compute.power import bmp_of_ppm


def test_bitmap_is_bottom_up_blue_first_and_padded() -> None:
    ppm = b"P6\n1 2\n255\n" + b"\x01\x02\x03" + b"\x04\x05\x06"
    bitmap = bmp_of_ppm(ppm)
    assert bitmap[54:] == b"\x06\x05\x04\x00" + b"\x03\x02\x01\x00"
    assert bitmap[:2] == b"BM"
    assert struct.unpack_from("<I", bitmap, 2) == (len(bitmap),)
    assert struct.unpack_from("<IiiHH", bitmap, 14) == (40, 1, 2, 1, 24)


def test_comment_in_the_head_is_passed_over() -> None:
    assert bmp_of_ppm(b"P6 # made by\n1 1 # x\n255\nabc")[54:] == b"cba\x00"


@pytest.mark.parametrize(
    "ppm",
    [b"", b"P5\n1 1\n255\nabc", b"P6\n1 1\n65535\nabcdef", b"P6\n2 2\n255\nabc", b"P6\n0 0\n255\n"],
)
def test_bitmap_says_no(ppm: bytes) -> None:
    with pytest.raises(LabError, match="screenshot"):
        bmp_of_ppm(ppm)
