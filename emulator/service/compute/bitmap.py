"""Screenshots as Azure stores them: PPM (QEMU's screendump) to BMP; pure."""

from __future__ import annotations

import re
import struct

from emulator.errors import LabError

_HEAD = re.compile(rb"P6(?:\s|#[^\n]*\n)+(\d{1,5})(?:\s|#[^\n]*\n)+(\d{1,5})(?:\s|#[^\n]*\n)+(\d{1,5})\s")
_FILE_HEAD = struct.Struct("<2sIHHI")
_INFO_HEAD = struct.Struct("<IiiHHIIiiII")
_DOTS_PER_METRE = 3780


def bmp_of_ppm(ppm: bytes) -> bytes:
    """Return a PPM (P6, 8 bit) as BMP: 24 bit, rows from the bottom, each padded to four bytes.

    Raises:
        LabError: it is no such PPM, or ends too soon.
    """
    head = _HEAD.match(ppm)
    if head is None or int(head[3]) != 255:
        raise LabError(f"the screenshot is no PPM of 8 bit: it begins with {ppm[:16]!r}")
    width, height = int(head[1]), int(head[2])
    pixels = memoryview(ppm)[head.end() : head.end() + 3 * width * height]
    if len(pixels) < 3 * width * height or not pixels:
        raise LabError(f"the screenshot of {width} by {height} ends after {len(pixels)} bytes")
    padding = bytes(-3 * width % 4)
    rows = [_row(pixels[3 * width * y : 3 * width * (y + 1)]) + padding for y in reversed(range(height))]
    body = b"".join(rows)
    start = _FILE_HEAD.size + _INFO_HEAD.size
    info = _INFO_HEAD.pack(40, width, height, 1, 24, 0, len(body), _DOTS_PER_METRE, _DOTS_PER_METRE, 0, 0)
    return _FILE_HEAD.pack(b"BM", start + len(body), 0, 0, start) + info + body


def _row(pixels: memoryview) -> bytes:
    """Return one row with red and blue in the order of BMP."""
    row = bytearray(pixels)
    row[0::3], row[2::3] = pixels[2::3].tobytes(), pixels[0::3].tobytes()
    return bytes(row)
