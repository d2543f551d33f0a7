"""What a machine is: a frozen value, checked when it is made; `argv` turns it into a command line.

Nothing here touches the host: equal specs give the same argv on any host, and `emulator.values` carries
one from the run that failed to the one that reproduces it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from emulator.disks.formats import DiskFormat
from emulator.machine.architectures import architecture_of, board_of
from emulator.machine.architectures.parts import Architecture, QemuBoard
from emulator.machine.architectures.parts import Firmware as Firmware  # noqa: PLC0414  # part of a spec
from emulator.machine.architectures.parts import MachineType as MachineType  # noqa: PLC0414
from emulator.values import Text, require_fields, wrong

VCPUS_MOST = 64
MEMORY_MIB_MIN = 64
"""What the SAC guest has; Linux under SeaBIOS needs at least 128."""
MEMORY_MIB_MAX = 65536
COMMAND_LINE_MAX = 2047
"""Bytes without the NUL: COMMAND_LINE_SIZE of Linux on x86, which silently cuts off the rest."""
LOADER_LINE_MAX = 1536
"""Bytes that a disk's loader may be handed for Linux: what it adds must fit into COMMAND_LINE_MAX too.

SMBIOS and GRUB carry more (70,000 bytes measured, QEMU 7.2, SeaBIOS and OVMF, GRUB 2.06), but GRUB silently
cuts a command line that is longer than the kernel accepts.
"""
SEED_MAX = 2**64 - 1
SATA_MOST = 4
"""Devices on a PC's IDE; Q35's AHCI would have room for six."""
ICOUNT_SHIFT_MAX = 10
"""QEMU's own limit (softmmu/icount.c, MAX_ICOUNT_SHIFT): 2**10 ns per instruction."""

_LOADER_WORD = re.compile(r"[A-Za-z0-9%+,./:=@_-]+")
"""What GRUB passes on unchanged; it would alter quotes, backslashes, wildcards and separators."""
_FW_CFG_NAME = re.compile(r"opt/[a-z0-9./_-]{1,50}")
"""QEMU reserves `opt/` for the user (its specs/fw_cfg.txt); a name has at most 55 bytes."""
_SMBIOS_KEYS = ("manufacturer", "product", "version", "serial", "uuid", "family")
"""Keys of the table "System Information"; `sku` carries the command line."""
_NAME = Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1-64 of A-Z a-z 0-9 . _ -, a letter or digit first")


class Accelerator(StrEnum):
    """Who executes guest code; `auto` lets the probe decide."""

    AUTO = "auto"
    TCG = "tcg"
    KVM = "kvm"


class Device(StrEnum):
    """Parts that a machine has only on request."""

    I6300ESB = "i6300esb"
    PVPANIC = "pvpanic"


class WatchdogAction(StrEnum):
    """What QEMU does when the i6300esb expires."""

    RESET = "reset"
    SHUTDOWN = "shutdown"
    POWEROFF = "poweroff"
    PAUSE = "pause"
    INJECT_NMI = "inject-nmi"
    NONE = "none"


class DiskBus(StrEnum):
    """What the guest sees a disk on: `sata` is IDE on `pc` and AHCI on `q35`."""

    VIRTIO = "virtio"
    SATA = "sata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One disk, backed by a file of the host.

    Attributes:
        path: absolute path of the file.
        format: the file's format; never guessed, since a guest could write a qcow2 header.
        bus: where the guest sees it.
        read_only: whether the guest can't write.
        discard_writes: whether the guest writes to a temporary overlay that ends with QEMU.
        size: bytes of a raw file that the guest sees, which is not told of the rest; None: all.
    """

    path: Path
    format: DiskFormat = DiskFormat.RAW
    bus: DiskBus = DiskBus.VIRTIO
    read_only: bool = False
    discard_writes: bool = False
    size: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no machine can have."""
        if self.size is not None and (self.format is not DiskFormat.RAW or self.size <= 0 or self.size % 512):
            raise wrong("disk.size", value=self.size, allowed="whole sectors, of a raw disk")
        require_fields(self, prefix="disk.")
        if self.read_only and self.bus is DiskBus.SATA:
            # QEMU 7.2: "-device ide-hd: Block node is read-only".
            allowed = "false on sata; discard_writes protects the file"
            raise wrong("disk.read_only", value=True, allowed=allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsParts:
    """What a machine for Windows has besides COM2, a screen and a network card without a way out.

    Attributes:
        cdroms: absolute paths of ISOs, tried in order after the disks.
        acpi_tables: absolute paths of files with whole ACPI tables.
        tpm: whether there is a TPM 2.0.

    Raises:
        SpecError: a path is not absolute.
    """

    cdroms: tuple[Path, ...] = ()
    acpi_tables: tuple[Path, ...] = ()
    tpm: bool = False

    def __post_init__(self) -> None:
        """Refuse what would mean another file elsewhere."""
        require_fields(self, prefix="windows.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What people choose of a machine on which an image boots; the image decides the rest.

    Attributes:
        machine: the board.
        firmware: what starts the image.
        words: for the guest: kernel parameters, or knobs of the SAC guest.
        name: the machine's; default the image's.
        uuid: the machine's, which some guests show; None leaves it to QEMU.
    """

    machine: MachineType
    firmware: Firmware
    words: tuple[str, ...] = ()
    name: str = ""
    uuid: str | None = None

    @property
    def smbios(self) -> tuple[tuple[str, str], ...]:
        """What SMBIOS says of it: its uuid, if it has one."""
        return () if self.uuid is None else (("uuid", self.uuid),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """A machine to power on.

    Attributes:
        name: shown in QEMU's process list and in reports.
        machine: the board.
        firmware: what starts the kernel or the disk.
        vcpus: 1 to 64.
        memory_mib: MiB, 64 to 65536.
        accelerator: who executes guest code.
        kernel: absolute path of a kernel to start directly; None boots a disk.
        initrd: absolute path of its initial RAM disk.
        command_line: the kernel's parameters, joined by a space. Without a kernel they go to the disk's
            loader as the SKU of the SMBIOS table "System Information"; ours (images/grub) adds them to those
            of each entry, others may ignore them.
        devices: parts that the board itself lacks.
        disks: in the order in which the guest numbers them.
        watchdog_action: what happens when the i6300esb expires.
        bulk_console: whether there is a virtio serial port (`/dev/vport*p1`), for megabytes that would take
            minutes on ttyS0.
        firmware_on_serial: whether SeaBIOS and early GRUB print on ttyS0 too.
        tell_tsc: whether a Linux kernel is told the TSC's frequency under TCG (`machine.host`).
        fw_cfg: names below `opt/` and texts that the guest reads through fw_cfg.
        smbios: keys and texts of the table "System Information": manufacturer, product, version, serial,
            uuid, family.
        generation_id: whether the guest sees a number that differs in each fork of a snapshot (vmgenid);
            Linux 5.18 and newer then reseeds its random numbers.
        qboot: whether qboot, the smallest firmware there is, starts a kernel instead of SeaBIOS.
        seed: seed of QEMU's random numbers, hence of the guest's virtio-rng; None takes the host's.
        windows: what a machine for Windows has besides; None for other guests.
        icount_shift: 0 to 10: with TCG and one vCPU, the guest's time is counted in instructions of 2**N ns
            each; None lets it follow the host's clock.
        qemu: the program, by path or name; None is the usual one.
        args: words at the end of QEMU's command line.

    Raises:
        SpecError: a field is wrong; the text names it, its value and what is allowed.
    """

    name: Annotated[str, _NAME]
    machine: MachineType
    firmware: Firmware = Firmware.SEABIOS
    vcpus: Annotated[int, range(1, VCPUS_MOST + 1)] = 1
    memory_mib: Annotated[int, range(MEMORY_MIB_MIN, MEMORY_MIB_MAX + 1)] = 256
    accelerator: Accelerator = Accelerator.AUTO
    kernel: Path | None = None
    initrd: Path | None = None
    command_line: tuple[str, ...] = ()
    devices: frozenset[Device] = frozenset()
    disks: tuple[Disk, ...] = ()
    watchdog_action: WatchdogAction = WatchdogAction.RESET
    bulk_console: bool = False
    firmware_on_serial: bool = False
    tell_tsc: bool = False
    fw_cfg: tuple[tuple[str, str], ...] = ()
    smbios: tuple[tuple[str, str], ...] = ()
    generation_id: bool = False
    qboot: bool = False
    seed: Annotated[int, range(SEED_MAX + 1)] | None = None
    windows: WindowsParts | None = None
    icount_shift: Annotated[int, range(ICOUNT_SHIFT_MAX + 1)] | None = None
    qemu: str | None = None
    args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what QEMU refuses, or accepts and then ignores."""
        _require_command_line(self.command_line)
        self._check_tables()
        require_fields(self)
        self._check_counts()
        self._check_kernel()
        self._check_board()
        if self.firmware_on_serial and self.firmware.is_uefi:
            allowed = f"false with {self.firmware}, which always prints there"
            raise wrong("firmware_on_serial", value=True, allowed=allowed)

    @property
    def board(self) -> QemuBoard:
        """What its board is."""
        return board_of(self.machine)

    @property
    def architecture(self) -> Architecture:
        """What its CPUs are."""
        return architecture_of(self.machine)

    def _check_counts(self) -> None:
        cdroms = len(self.windows.cdroms) if self.windows else 0
        if cdroms + sum(disk.bus is DiskBus.SATA for disk in self.disks) > SATA_MOST:
            raise wrong("disks", self.disks, allowed=f"{SATA_MOST} on sata, CDs among them")
        if self.icount_shift is None:
            return
        if self.accelerator is Accelerator.KVM:
            raise wrong("icount_shift", self.icount_shift, allowed="none with kvm: only tcg counts")
        if self.vcpus > 1:
            # QEMU 7.2: 5.10 hangs at "Booting SMP configuration"; a vCPU that spins waiting for another keeps
            # the thread until its share of instructions is used up (zephyr#26868 saw the same).
            raise wrong("icount_shift", self.icount_shift, allowed=f"none with {self.vcpus} vcpus: only 1")

    def _check_kernel(self) -> None:
        if self.initrd is not None and self.kernel is None:
            raise wrong("initrd", self.initrd, allowed="none unless there is a kernel")
        if self.kernel is None:
            self._check_loader()

    def _check_tables(self) -> None:
        _require_pairs("fw_cfg", self.fw_cfg)
        _require_pairs("smbios", self.smbios)
        for name, _ in self.fw_cfg:
            if not _FW_CFG_NAME.fullmatch(name):
                raise wrong("fw_cfg", name, allowed="names of opt/ and 1-50 of a-z 0-9 . / _ -")
        for name, _ in self.smbios:
            if name not in _SMBIOS_KEYS:
                raise wrong("smbios", name, allowed=" ".join(_SMBIOS_KEYS))
        if self.qboot and (self.kernel is None or self.firmware is not Firmware.SEABIOS):
            raise wrong("qboot", value=True, allowed="false unless there is a kernel and firmware is seabios")

    def _check_loader(self) -> None:
        """Refuse what nobody would read, and what a disk's loader would not pass on unchanged."""
        if self.tell_tsc and not self.disks:
            raise wrong("tell_tsc", value=True, allowed="false unless there is a kernel or a disk")
        allowed = ""
        if self.command_line and not self.disks:
            allowed = "none unless there is a kernel or a disk"
        elif not all(_LOADER_WORD.fullmatch(word) for word in self.command_line):
            allowed = "words of A-Z a-z 0-9 %+,./:=@_- where a disk boots"
        elif len(" ".join(self.command_line)) > LOADER_LINE_MAX:
            allowed = f"{LOADER_LINE_MAX} bytes in all where a disk boots"
        if allowed:
            raise wrong("command_line", self.command_line, allowed=allowed)

    def _check_board(self) -> None:
        board = self.board
        if self.kernel is None and (not board.has_pci or self.firmware is Firmware.NONE):
            where = (
                "with firmware none, which starts" if board.has_pci else f"on {self.machine}, which can have"
            )
            raise wrong("kernel", None, allowed=f"a path {where} no disk")
        if self.firmware not in board.firmwares:
            why = "" if board.has_pci else ", which has no flash"
            allowed = f"{' '.join(board.firmwares)} on {self.machine}{why}"
            raise wrong("firmware", self.firmware, allowed=allowed)
        if self.generation_id and not board.generation_id:
            raise wrong("generation_id", value=True, allowed=f"false on {self.machine}")
        if board.has_pci and not board.sata and any(disk.bus is DiskBus.SATA for disk in self.disks):
            allowed = f"virtio on {self.machine}, whose UEFI starts no other"
            raise wrong("disk.bus", DiskBus.SATA, allowed=allowed)
        if self.windows is not None and not board.screen:
            raise wrong("windows", self.windows, allowed=f"none on {self.machine}, which is no PC")
        if not board.has_pci:
            self._check_bare()

    def _check_bare(self) -> None:
        # QEMU 7.2: microvm has no PCI, and its ACPI is off, without which Debian's kernels find no
        # virtio-mmio device and no pvpanic.
        bare = f"on {self.machine}, without PCI and ACPI"
        refused: dict[str, tuple[object, str]] = {
            "devices": (sorted(self.devices), f"none {bare}"),
            "disks": (self.disks, f"none {bare}"),
            "bulk_console": (self.bulk_console, f"false {bare}"),
            "firmware_on_serial": (self.firmware_on_serial, f"false {bare}: it has no VGA"),
            "qboot": (self.qboot, f"false {bare}"),  # Linux did not boot (docs/facts/qemu.md 2)
        }
        for name, (value, allowed) in refused.items():
            if value:
                raise wrong(name, value, allowed=allowed)


def _require_pairs(field: str, value: object) -> None:
    pairs = value if isinstance(value, tuple) else (None,)
    for pair in pairs:
        texts = pair if isinstance(pair, tuple) and len(pair) == 2 else (None,)
        if not all(isinstance(text, str) and text and "\0" not in text for text in texts):
            raise wrong(field, value, allowed="a tuple of pairs of non-empty str without NUL")
    if len({pair[0] for pair in pairs}) != len(pairs):
        raise wrong(field, value, allowed="each name once")


def _require_command_line(parts: object) -> None:
    if not isinstance(parts, tuple) or not all(isinstance(part, str) and part for part in parts):
        raise wrong("command_line", parts, allowed="a tuple of non-empty str")
    line = " ".join(parts)
    if any(character in line for character in "\0\n\r"):
        raise wrong("command_line", parts, allowed="text without NUL, line feed and carriage return")
    if len(line.encode("utf-8", "surrogateescape")) > COMMAND_LINE_MAX:
        allowed = f"{COMMAND_LINE_MAX} bytes in all, the most that Linux reads"
        raise wrong("command_line", parts, allowed=allowed)
