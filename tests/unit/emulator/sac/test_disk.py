import struct

import pytest

from emulator.errors import ImageError
from emulator.sac.disk import (
    DISK_BYTES,
    PAGEFILE,
    PARTITION,
    SECTOR,
    blank_multiboot,
    compose_disk,
    efi_program,
    flatten,
    read_dump,
)

STUB = bytes(0x2000) + b"code".ljust(64, b"\0")
MAGIC = struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF)


def elf(*loads, content=b"image"):
    head = b"\x7fELF\x01".ljust(28, b"\0") + struct.pack("<IIIHHH", 52, 0, 0, 52, 32, len(loads))
    table = b"".join(struct.pack("<8I", kind, 0x200, 0, 0, len(content), 0, 0, 0) for kind in loads)
    return (head.ljust(52, b"\0") + table).ljust(0x200, b"\0") + content


def disk(image=b"\x90" * 1000):
    whole = bytearray(DISK_BYTES)
    for offset, content in compose_disk(image, boot_sector=b"\xeb\x02".ljust(440, b"\0"), efi_stub=STUB):
        whole[offset : offset + len(content)] = content
    return whole


def root_entry(whole, name):
    start = whole.index(name, PARTITION * SECTOR)
    return start, struct.unpack_from("<HI", whole, start + 26)


def test_flatten_takes_the_part_to_load():
    assert flatten(elf(4, 1)) == b"image"


@pytest.mark.parametrize(
    ("image", "complaint"),
    [(b"MZ", "not a 32-bit ELF"), (elf(), "0 parts to load"), (elf(1, 1), "2 parts to load; allowed: 1")],
)
def test_flatten_refuses_what_it_does_not_know(image, complaint):
    with pytest.raises(ImageError, match=complaint):
        flatten(image)


def test_blank_multiboot_blanks_only_the_header():
    assert blank_multiboot(b"a" + MAGIC + b"b") == b"a" + bytes(12) + b"b"
    with pytest.raises(ImageError, match="no multiboot header"):
        blank_multiboot(b"ab")


def test_disk_has_boot_sector_image_and_one_partition():
    whole = disk()
    assert whole[510:512] == b"\x55\xaa"
    assert struct.unpack_from("<H", whole, 4) == (2,)  # sectors of the image
    assert whole[SECTOR : SECTOR + 1000] == b"\x90" * 1000
    active, kind, first, sectors = struct.unpack_from("<B3xB3xII", whole, 446)
    assert (active, kind, first) == (0x80, 0xEF, PARTITION)
    assert (first + sectors) * SECTOR == DISK_BYTES == len(whole)


def test_disk_holds_a_pagefile_in_one_piece():
    whole = disk()
    _, (cluster, size) = root_entry(whole, b"PAGEFILESYS")
    assert size == PAGEFILE
    table = PARTITION * SECTOR + SECTOR
    chain = struct.unpack_from(f"<{PAGEFILE // 1024}H", whole, table + 2 * cluster)
    assert chain == (*range(cluster + 1, cluster + PAGEFILE // 1024), 0xFFFF)


def test_compose_disk_refuses_an_image_that_the_bios_could_not_read():
    with pytest.raises(ImageError, match="sectors; allowed: 896"):
        disk(bytes(0x70001))


def test_efi_program_tells_its_sizes():
    program = efi_program(b"\x90" * 5000, STUB)
    size, memory = struct.unpack_from("<I", program, 0x5C)[0], struct.unpack_from("<I", program, 0x178)[0]
    assert len(program) == 0x2000 + size
    assert size % 0x1000 == memory % 0x1000 == 0
    assert struct.unpack_from("<I", program, 0x90) == (0x2000 + memory,)
    assert struct.unpack_from("<Q", program, 0x2008) == (5000,)
    assert program[0x2040 : 0x2040 + 5000] == b"\x90" * 5000


def with_dump(content):
    """Write MEMORY.DMP as the guest does: behind the pagefile, in the root's fourth entry."""
    whole = disk()
    entry, (cluster, _) = root_entry(whole, b"PAGEFILESYS")
    first, count = cluster + PAGEFILE // 1024, -(-len(content) // 1024)
    struct.pack_into("<11s15xHI", whole, entry + 32, b"MEMORY  DMP", first, len(content))
    chain = (*range(first + 1, first + count), 0xFFFF)
    struct.pack_into(f"<{count}H", whole, PARTITION * SECTOR + SECTOR + 2 * first, *chain)
    data = DISK_BYTES - 4400 * 1024 + (first - 2) * 1024
    whole[data : data + len(content)] = content
    return bytes(whole)


def test_read_dump_reads_the_header():
    content = bytearray(b"PAGEDU64".ljust(0x2400, b"\0"))
    struct.pack_into("<I4x4Q", content, 0x38, 0x80, 0x4F4454, 0, 2**63, 1)
    content[0xFB0:0xFB5] = b"hello"
    dump = read_dump(with_dump(bytes(content)))
    assert (dump.code, dump.parameters) == (0x80, (0x4F4454, 0, 2**63, 1))
    assert (dump.comment, dump.size, dump.content) == ("hello", 0x2400, bytes(content))


def test_read_dump_finds_none_on_a_new_disk():
    assert read_dump(bytes(disk())) is None


@pytest.mark.parametrize(
    ("whole", "complaint"),
    [
        (bytes(DISK_BYTES), "no volume"),
        (b"", "no volume"),
        (with_dump(b"MDMP".ljust(2000)), "not a crash dump"),
    ],
)
def test_read_dump_refuses_what_is_none(whole, complaint):
    with pytest.raises(ImageError, match=complaint):
        read_dump(whole)
