"""Garbage never makes the bzImage reader do anything but refuse."""

from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ImageError
from emulator.kernel_files.vmlinux import extract_vmlinux, has_pvh_entry

MAGICS = st.sampled_from(
    [b"\x02\x21\x4c\x18", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"\x1f\x8b\x08\x00", b""]
)


@given(MAGICS, st.binary(max_size=200), st.integers(0, 2**32 - 1), st.integers(0, 2**10))
def test_garbage_is_refused(magic: bytes, rest: bytes, length: int, offset: int):
    image = bytearray(0x250) + bytes(512 * 5) + magic + rest
    image[0x202:0x206] = b"HdrS"
    image[0x206:0x208] = b"\x0f\x02"
    image[0x248:0x250] = offset.to_bytes(4, "little") + length.to_bytes(4, "little")
    try:
        extract_vmlinux(bytes(image))
    except ImageError:
        return
    raise AssertionError("garbage was taken for a kernel")


@given(st.binary(max_size=300))
def test_garbage_has_no_pvh_entry(data: bytes):
    assert not has_pvh_entry(b"\x7fELF\x02\x01" + data) or b"Xen\0" in data
