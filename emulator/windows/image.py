"""Windows as its user registered it: a path, what it is, who may log in, and the machine that boots it."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from emulator import places
from emulator.disks.formats import DiskFormat
from emulator.errors import SpecError
from emulator.files import write_whole
from emulator.guest_text.linux import LinuxProfile
from emulator.lab_file.tables import NAME
from emulator.machine.spec import Board, Disk, DiskBus, Firmware, MachineSpec, MachineType, WindowsParts
from emulator.sac.image import Account, SacConsole
from emulator.sac.knobs import PROFILES, SacKnobs
from emulator.sac.profile import IDENTITY, SacProfile, load_profile

NAME_MOST = 40
UNVERIFIED = "Windows as its user registered it; what it is, ttylab has not verified"
MEMORY_MIB = 4096
LENGTH = 80
"""Bytes of an SPCR table."""
_REVISION = 2
_IRQ = 4
_HEADER = "<4sIBB6s8sI4sI"
_BODY = "<B3x4BQBBIBBBBBxHHBBBIB4x"
_COM1 = 0x3F8
_BAUD_115200, _VT_UTF8 = 7, 2
_IO_SPACE, _BYTE_ACCESS = 1, 1
_DUAL_8259 = 1


class Level(StrEnum):
    """How the image was made (docs/facts/sac.md 4.1)."""

    ISO = "iso"
    """L0: media that boot as they are."""
    DISK = "disk"
    """L1: an installed disk of the user's."""
    INSTALLED = "installed"
    """L2: a base image that ttylab installed from the user's media."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """What identifies a file without reading gigabytes; the hash is that of its first and last MiB."""

    size: int
    mtime_ns: int
    ends_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsImage:
    """Windows that can be booted.

    Attributes:
        name: what its user called it.
        level: how it was made.
        path: path of the ISO or disk, which is never copied.
        disk_format: format of a disk; None for an ISO.
        identity: the file as it was registered.
        release: the SAC profile whose texts and timeouts it has.
        firmware: what it boots under.
        tpm: whether the machine has a TPM 2.0.
        user, domain, password: who may log in at cmd; an empty password lets nobody in.
        is_sac_guest: whether the disk is that of ttylab's own SAC guest, and so not Windows.

    Raises:
        SpecError: a value is wrong; the text names it and what is allowed.
    """

    name: str
    level: Level
    path: Path
    identity: FileIdentity
    release: str
    firmware: Firmware
    disk_format: DiskFormat | None = None
    tpm: bool = False
    user: str = "Administrator"
    domain: str = ""
    password: str = field(default="", repr=False)
    is_sac_guest: bool = False

    def __post_init__(self) -> None:
        """Refuse what can't be booted, named in a cell, or typed."""
        if not NAME.fullmatch(self.name) or len(self.name) > NAME_MOST:
            allowed = f"1-{NAME_MOST} lower-case letters, digits, '-' and '.' between them"
            raise SpecError(f"name is {self.name!r}; allowed: {allowed}")
        if self.release not in PROFILES:
            raise SpecError(f"release is {self.release!r}; allowed: {' '.join(PROFILES)}")
        if (self.disk_format is None) != (self.level is Level.ISO):
            raise SpecError(f"disk_format is {self.disk_format!r}; allowed: none for an ISO, one for a disk")
        for what, text in (("user", self.user), ("domain", self.domain)):
            if not re.fullmatch(r"[!-~]*(?: [!-~]+)*", text):
                raise SpecError(f"{what} is {text!r}; allowed: printable ASCII characters")
        if not re.fullmatch(r"[!-~]*", self.password):
            raise SpecError("the password can't be typed at SAC; allowed: printable ASCII, no blanks")

    @property
    def profile(self) -> SacProfile:
        """What its console says, as far as is known."""
        return load_profile(self.release)

    @property
    def sha256(self) -> Mapping[str, str]:
        """Hash of the file's ends: what a reproduction compares."""
        return {"ends": self.identity.ends_sha256}

    @property
    def features(self) -> frozenset[str]:
        """What it offers to scenarios: SAC without knobs, and the firmware that it boots under.

        `registered` keeps it out of a matrix's "all", so that a matrix means the same on every host.
        """
        profile = self.profile
        flags = {
            "has_powershell": profile.has_powershell and self.level is not Level.ISO,
            "has_livedump": profile.has_livedump,
            "real_windows": not self.is_sac_guest,
        }
        words = {flag for flag, is_there in flags.items() if is_there}
        return frozenset({"sac", "registered", f"boots-{self.firmware}"} | words)

    @property
    def usual_board(self) -> Board:
        """A Q35 under the firmware that it is registered with."""
        return Board(machine=MachineType.Q35, firmware=self.firmware)

    @property
    def boot_timeout_s(self) -> float:
        """How long its release may take."""
        return self.profile.boot_timeout_s

    def provenance(self) -> dict[str, object]:
        """Return what it is, ready for JSON: for reports. It holds no password and no path."""
        return {
            "name": self.name,
            "guest": f"{IDENTITY}, registered by its user" if self.is_sac_guest else UNVERIFIED,
            "level": self.level.value,
            "profile": self.release,
            "file": {"name": self.path.name, "size": self.identity.size},
            "sha256": dict(self.sha256),
        }

    def spec(self, board: Board) -> MachineSpec:
        """Return a machine that boots it, as `windows_spec`; raises SpecError for words, other firmware."""
        if board.words:
            words = " ".join(board.words)
            raise SpecError(f"--append {words!r}: Windows takes no words from ttylab; leave it out")
        if board.firmware != self.firmware:
            allowed = f"{self.firmware}, as {self.name} is registered"
            raise SpecError(f"firmware is {board.firmware}; allowed: {allowed}")
        return windows_spec(self, machine=board.machine, name=board.name, uuid=board.uuid)

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return no words: its user named it."""
        del host_name
        return ()

    def linux_console(self) -> LinuxProfile:
        """Refuse: it is no Linux."""
        raise SpecError(f"image {self.name} is no Linux")

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Return its release and the account that its user registered."""
        del knobs
        account = Account(user=self.user, domain=self.domain, password=self.password)
        return SacConsole(profile=self.profile, account=account, boots_from_cd=self.level is Level.ISO)


def windows_spec(
    image: WindowsImage,
    *,
    machine: MachineType = MachineType.Q35,
    vcpus: int = 2,
    memory_mib: int = MEMORY_MIB,
    name: str = "",
    uuid: str | None = None,
    root: Path | None = None,
) -> MachineSpec:
    """Return a machine that boots Windows with a console on COM1, which an SPCR table announces.

    The user's file is never written: what the guest writes goes to an overlay that ends with QEMU, which
    keeps it in TMPDIR (/var/tmp). Firmware and TPM are the image's, and so is the name without `name`. SAC
    shows `uuid`, or zeros. The table is kept in `root`, by default the registry's directory.

    Raises:
        SpecError: there is no such machine.
        FileError: the table can't be written.
    """
    if machine is MachineType.MICROVM:
        raise SpecError("machine is microvm; allowed: pc q35 for Windows, which needs ACPI and PCI")
    disks: tuple[Disk, ...] = ()
    if image.disk_format is not None:
        disks = (windows_disk(image.path, DiskFormat(image.disk_format), discard_writes=True),)
    return MachineSpec(
        name=name or image.name,
        machine=machine,
        firmware=image.firmware,
        vcpus=vcpus,
        memory_mib=memory_mib,
        disks=disks,
        smbios=() if uuid is None else (("uuid", uuid),),
        windows=WindowsParts(
            cdroms=(image.path,) if image.level is Level.ISO else (),
            acpi_tables=(ensure_spcr(root or places.windows()),),
            tpm=image.tpm,
        ),
    )


def windows_disk(path: Path, disk_format: DiskFormat, *, discard_writes: bool = False) -> Disk:
    """Return a disk on the bus that Windows has a driver for."""
    return Disk(path=path, format=disk_format, bus=DiskBus.SATA, discard_writes=discard_writes)


def ensure_spcr(directory: Path) -> Path:
    """Return a file with the SPCR table, named by its digest and written on first use; raises FileError."""
    table = spcr_table()
    path = directory.absolute() / f"spcr-{hashlib.sha256(table).hexdigest()[:16]}.bin"
    if not path.exists():
        write_whole(path, table, private=True, parents=True)
    return path


def spcr_table() -> bytes:
    """Return the table for COM1: I/O port 0x3f8, IRQ 4, 115200 8N1, VT-UTF8.

    The layout is Microsoft's "Serial Port Console Redirection Table", revision 2, 80 bytes.
    """
    address = (_IO_SPACE, 8, 0, _BYTE_ACCESS, _COM1)
    line = (_BAUD_115200, 0, 1, 0, _VT_UTF8)  # no parity, one stop bit, no flow control
    no_pci = (0xFFFF, 0xFFFF, 0, 0, 0, 0, 0)
    body = struct.pack(_BODY, 0, *address, _DUAL_8259, _IRQ, 0, *line, *no_pci)
    header = struct.pack(_HEADER, b"SPCR", LENGTH, _REVISION, 0, b"TTYLAB", b"TTYLABSC", 1, b"TTYL", 1)
    table = bytearray(header + body)
    table[9] = -sum(table) & 0xFF
    return bytes(table)
