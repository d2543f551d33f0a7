"""Guests of 512 bytes: what SeaBIOS starts from a disk, at next to no cost."""

from pathlib import Path

from emulator.machine.spec import Disk, MachineSpec, MachineType

DISK_SIZE = 1 << 20  # SeaBIOS starts no disk of a single sector
IDLE = bytes.fromhex("fa f4 eb fd")  # cli; hlt; jmp
SWITCH_OFF = bytes.fromhex("ba 04 06 b8 00 20 ef") + IDLE  # ACPI: SLP_EN to port 0x604
ECHO = bytes.fromhex("ba fd 03 ec a8 01 74 fb ba f8 03 ec ee eb f1")  # COM1: wait for a byte, send it back


def saying(text: bytes, then: bytes = IDLE) -> bytes:
    """Return code that writes `text` to COM1, each byte after the last one has left, then does `then`."""
    code = b"".join(
        bytes.fromhex("ba fd 03 ec a8 20 74 fb ba f8 03 b0") + bytes([byte]) + b"\xee" for byte in text
    )
    return code + then


def sector_spec(path: Path, code: bytes, *, name: str = "sector", **fields: object) -> MachineSpec:
    """Write a disk that begins with `code` to `path`, and return a machine that boots it."""
    assert len(code) <= 440
    path.write_bytes((code.ljust(510, b"\0") + b"\x55\xaa").ljust(DISK_SIZE, b"\0"))
    disk = Disk(path=path, read_only=True)
    return MachineSpec(name=name, machine=MachineType.PC, memory_mib=128, disks=(disk,), **fields)
