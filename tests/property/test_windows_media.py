"""Whatever a file holds, it is read or refused by SpecError, with bounded work."""

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.disks.formats import format_of
from emulator.disks.layout import read_layout
from emulator.errors import SpecError
from emulator.guest_text.sac_elsewhere import describe_silence, find_elsewhere
from emulator.windows.registration import MAGIC, read_editions, read_media
from tests.support.windows_media import write_iso

PLACES = st.lists(st.tuples(st.integers(0, 1 << 17), st.binary(min_size=1, max_size=64)), max_size=6)


@given(st.binary(max_size=400))
def test_image_file_is_read_or_refused(data):
    for content in (data, MAGIC + data):
        with suppress(SpecError):
            assert read_editions(BytesIO(content), origin="x")


@given(st.binary(max_size=3000))
def test_disk_is_read_or_refused(data):
    for content in (data, data.ljust(510, b"\0")[:510] + b"\x55\xaa" + data):
        with suppress(SpecError):
            read_layout(content, origin="x")
        with suppress(SpecError):
            format_of(content, content[-512:], origin="x")


@pytest.fixture(scope="module")
def iso(tmp_path_factory):
    path = tmp_path_factory.mktemp("iso") / "a.iso"
    return path, write_iso(path, {"/sources/install.wim": MAGIC + bytes(5000)}).read_bytes()


@given(damage=PLACES)
def test_damaged_iso_is_read_or_refused(iso, damage):
    path, whole = iso
    data = bytearray(whole)
    for place, content in damage:
        start = 0x8000 + place % (len(data) - 0x8000)
        data[start : start + len(content)] = content
    path.write_bytes(data)
    with pytest.raises(SpecError):  # its image file is none in any case
        read_media(path)


@given(st.binary(max_size=300))
def test_silence_is_never_told_of_a_guest_that_spoke(data):
    said = describe_silence(b"BdsDxe: loading Boot0001\r\n" + data + b"\r\n!")
    assert said is None
    assert find_elsewhere(data + b"\r\nGNU GRUB  version 2.06") is not None
