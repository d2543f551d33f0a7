"""The partition table, read back field by field (UEFI 2.10, 5.2 and 5.3)."""

import struct
import zlib
from dataclasses import replace
from uuid import UUID

import pytest

from emulator.errors import SpecError
from emulator.images.boot_disk import (
    BIOS_BOOT,
    EFI_SYSTEM,
    HEAD_SECTORS,
    SECTOR,
    TAIL_SECTORS,
    Partition,
    write_table,
)

GUID = UUID(int=7)
SECTORS = 4096
CORE = Partition(kind=BIOS_BOOT, guid=UUID(int=1), label="bios", first=HEAD_SECTORS, last=2047)
FILES = Partition(
    kind=EFI_SYSTEM, guid=UUID(int=2), label="boot", first=2048, last=SECTORS - TAIL_SECTORS - 1
)


def table(*partitions: Partition) -> tuple[bytes, bytes]:
    return write_table(partitions, sectors=SECTORS, guid=GUID, boot_sector=b"\x90" * SECTOR)


def read_header(header: bytes) -> dict[str, int | bytes]:
    names = ("signature", "revision", "size", "crc", "zero", "here", "other", "first", "last")
    fields = dict(zip(names, struct.unpack_from("<8sIIIIQQQQ", header), strict=True))
    fields["guid"] = header[56:72]
    fields |= dict(
        zip(("table", "count", "entry", "table_crc"), struct.unpack_from("<QIII", header, 72), strict=True)
    )
    return fields


def test_table_keeps_the_boot_code_and_covers_the_disk_for_those_who_know_no_gpt():
    sector = table(CORE)[0][:SECTOR]
    assert sector[:440] == b"\x90" * 440
    kind, start, length = sector[450], *struct.unpack_from("<II", sector, 454)
    assert (kind, start, length, sector[-2:]) == (0xEE, 1, SECTORS - 1, b"\x55\xaa")


def test_table_is_written_twice_and_each_header_names_the_other():
    head, tail = table(CORE, FILES)
    assert (len(head), len(tail)) == (HEAD_SECTORS * SECTOR, TAIL_SECTORS * SECTOR)
    first, second = read_header(head[SECTOR:]), read_header(tail[-SECTOR:])
    assert (first["here"], first["other"], first["table"]) == (1, SECTORS - 1, 2)
    assert (second["here"], second["other"], second["table"]) == (SECTORS - 1, 1, SECTORS - TAIL_SECTORS)
    assert (first["first"], first["last"]) == (HEAD_SECTORS, SECTORS - TAIL_SECTORS - 1)
    assert head[2 * SECTOR :] == tail[:-SECTOR]


@pytest.mark.parametrize("end", [0, 1])
def test_checksums_cover_header_and_table(end: int):
    head, tail = table(CORE, FILES)
    header, entries = ((head[SECTOR:], head[2 * SECTOR :]), (tail[-SECTOR:], tail[:-SECTOR]))[end]
    fields = read_header(header)
    assert fields["crc"] == zlib.crc32(header[:16] + bytes(4) + header[20:92])
    assert fields["table_crc"] == zlib.crc32(entries)
    assert (fields["signature"], fields["guid"]) == (b"EFI PART", GUID.bytes_le)


def test_entries_stand_in_the_order_given():
    entries = table(CORE, FILES)[0][2 * SECTOR :]
    assert entries[:16] == bytes.fromhex("4861682149646f6e744e656564454649")  # "Hah!IdontNeedEFI"
    assert struct.unpack_from("<QQ", entries, 128 + 32) == (2048, FILES.last)
    assert entries[128 + 56 :].startswith("boot\0".encode("utf-16-le"))
    assert not any(entries[256:])


@pytest.mark.parametrize(
    "wrong",
    [
        replace(FILES, first=HEAD_SECTORS - 1),
        replace(FILES, last=SECTORS - TAIL_SECTORS),
        replace(FILES, first=2047),
        replace(FILES, first=3000, last=2999),
    ],
)
def test_table_refuses_a_partition_outside_of_the_disk_or_on_another(wrong: Partition):
    with pytest.raises(SpecError, match=r"partition 'boot' has sectors \d+ to \d+; free: \d+ to 4062"):
        table(CORE, wrong)
