"""Disks of Windows: what their first bytes tell of them, and qemu-img, which makes and reads them."""

from __future__ import annotations

import struct
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from emulator.errors import ImageError, MissingPrerequisite, SpecError
from emulator.machine.spec import Firmware
from emulator.sac.profile import IDENTITY

HEAD_BYTES = 1 << 20
"""How much of a disk is read: it holds the partition tables, and ttylab's SAC guest."""
SECTOR = 512
Format = Literal["raw", "qcow2", "vhdx"]

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"QED\0", "qed"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0x8001, b"CD001", "iso"),
    (0x8001, b"BEA01", "iso"),
)
_BASIC_DATA = uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
_RESERVED = uuid.UUID("e3c9e316-0b5c-4db8-817d-f92df00215ae")
_EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_NTFS, _EFI, _PROTECTIVE = 0x07, 0xEF, 0xEE
_ENTRIES_MOST = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLayout:
    """What the start of a disk tells about it.

    Attributes:
        firmware: what it is likely to boot under, "seabios" or "ovmf".
        maybe_windows: whether it has the partitions that Windows makes.
        is_sac_guest: whether it is a disk of ttylab's SAC guest, which is not Windows.
    """

    firmware: Firmware
    maybe_windows: bool
    is_sac_guest: bool


def detect_format(head: bytes, *, origin: str) -> Format:
    """Return the format of a disk's file by its first bytes; a file without a known mark is raw.

    Raises:
        SpecError: it is something else; the text says what to do.
    """
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] != magic:
            continue
        if name == "iso":
            raise SpecError(f"--disk {origin}: this is an ISO; say --iso {origin}")
        if name not in {"qcow2", "vhdx"}:
            remedy = f"qemu-img convert -O qcow2 {origin} windows.qcow2"
            raise SpecError(f"--disk {origin}: {name} is not supported; convert it: {remedy}")
        return "qcow2" if name == "qcow2" else "vhdx"
    return "raw"


def read_layout(head: bytes, *, origin: str) -> DiskLayout:
    """Return what a disk's first `HEAD_BYTES` tell about it; raises SpecError if nothing boots from it."""
    if head[510:512] != b"\x55\xaa":
        raise SpecError(f"--disk {origin}: not a bootable disk: its first sector has no boot signature")
    is_sac_guest = IDENTITY.encode() in head
    kinds = {head[446 + 16 * number + 4] for number in range(4)}
    if _PROTECTIVE in kinds and head[SECTOR : SECTOR + 8] == b"EFI PART":
        types = _gpt_types(head)
        maybe = _BASIC_DATA in types and bool(types & {_RESERVED, _EFI_SYSTEM})
        return DiskLayout(firmware=Firmware.OVMF, maybe_windows=maybe, is_sac_guest=is_sac_guest)
    return DiskLayout(firmware=Firmware.SEABIOS, maybe_windows=_NTFS in kinds, is_sac_guest=is_sac_guest)


def _gpt_types(head: bytes) -> frozenset[uuid.UUID]:
    start, count, size = struct.unpack_from("<QII", head, SECTOR + 72)
    if size < 128:
        return frozenset()
    first = start * SECTOR
    places = (first + number * size for number in range(min(count, _ENTRIES_MOST)))
    found = (head[place : place + 16] for place in places)
    return frozenset(uuid.UUID(bytes_le=one) for one in found if len(one) == 16 and any(one))


_BOUND_S = 120.0


def create_disk(path: Path, *, gib: int) -> None:
    """Make an empty qcow2 disk of `gib` GiB, which takes almost no space at first.

    Raises:
        ImageError: it can't be made; no file is left behind.
        MissingPrerequisite: qemu-img is not installed.
    """
    try:
        _run("create", "-q", "-f", "qcow2", str(path), f"{gib}G")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_head(path: Path, *, disk_format: str) -> bytes:
    """Return the first MiB of a disk as a guest sees it.

    Raises:
        ImageError: the disk is damaged.
        MissingPrerequisite: qemu-img, which every format but raw needs, is not installed.
        OSError: it can't be read.
    """
    if disk_format == "raw":
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    with TemporaryDirectory(prefix="ttylab-head-") as name:
        head = Path(name) / "head"
        count = f"count={HEAD_BYTES // SECTOR}"
        _run("dd", "-f", disk_format, "-O", "raw", f"bs={SECTOR}", count, f"if={path}", f"of={head}")
        return head.read_bytes()


def _run(*arguments: str) -> None:
    argv = ("qemu-img", *arguments)
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_BOUND_S, check=False
        )
    except FileNotFoundError as error:
        raise MissingPrerequisite("qemu-img", remedy="apt-get install qemu-utils") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"qemu-img {arguments[0]}: no end after {_BOUND_S:.0f} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "backslashreplace").splitlines() or ["no message"]
        raise ImageError(f"qemu-img {arguments[0]} failed: {lines[-1]}")
