"""What an architecture decides, as values; each has a module beside this one (docs/howto/architecture.md)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, TypeAlias

AcceleratorName: TypeAlias = Literal["tcg", "kvm"]


class MachineType(StrEnum):
    """Boards that QEMU can be; each belongs to one architecture."""

    PC = "pc"
    Q35 = "q35"
    MICROVM = "microvm"
    VIRT = "virt"


class Firmware(StrEnum):
    """What runs before the loader: SeaBIOS is Azure's generation 1, OVMF its generation 2.

    AAVMF is OVMF's sibling for arm64; NONE starts a kernel at once. Another one needs a member here, a place
    in its boards' `firmwares` and, if it does not come with QEMU, its architecture's `uefi`.
    """

    SEABIOS = "seabios"
    OVMF = "ovmf"
    AAVMF = "aavmf"
    NONE = "none"

    @property
    def is_uefi(self) -> bool:
        """Whether it is UEFI, on which all else depends that differs.

        UEFI keeps variables in flash, starts kernels through their EFI stub, boots GPT disks, is generation 2
        for Azure, and always prints on the console; a BIOS does none of that.
        """
        return self in {Firmware.OVMF, Firmware.AAVMF}


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuBoard:
    """What one of QEMU's boards is.

    Attributes:
        machine: its name here, unlike any other's.
        words: the same for `-machine`, with its properties.
        firmwares: what it can start with, the usual one first.
        has_pci: whether it has PCI and ACPI, hence disks and other parts.
        generation_id: whether it can have a vmgenid.
        screen: words for its screen.
        parts: words for what it always has.
        sata: how many of its SATA or IDE disks a channel has; 0 if firmware starts none.
        pvpanic: the device that tells of panics.
        lacks: what can't be done to it, as `emulator.machine.control.Capability` names it, and why.
        lacks_without_uefi: the same, if it is started without UEFI.
    """

    machine: MachineType
    words: str
    firmwares: tuple[Firmware, ...]
    has_pci: bool = True
    generation_id: bool = True
    screen: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    sata: int = 0
    pvpanic: str = "pvpanic-pci"
    lacks: Mapping[str, str] = field(default_factory=dict)
    lacks_without_uefi: Mapping[str, str] = field(default_factory=dict)

    def lacking(self, firmware: Firmware) -> Mapping[str, str]:
        """Return what can't be done to it when it is started with `firmware`, and why."""
        return self.lacks if firmware.is_uefi else MappingProxyType({**self.lacks, **self.lacks_without_uefi})


@dataclass(frozen=True, slots=True, kw_only=True)
class Uefi:
    """UEFI firmware that hosts have.

    Attributes:
        firmware: its name here.
        package: the Debian package that brings it.
        loader: what it starts from a disk that says nothing else, as FAT's directories have the name.
        files: code and empty variable store of each build, as paths below /, the best first.
    """

    firmware: Firmware
    package: str
    loader: bytes
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestProgram:
    """What is run instead of firmware to learn whether, and how fast, guest code runs.

    Attributes:
        stages: what works once the program has written each letter, in order.
        achieved: what a guest has done that went through all of them.
        exit_code: QEMU's, when it is done.
        words: words for QEMU: where its letters go, and how it ends.
        cpu: the CPU under TCG.
        probe: returns the program that goes through the stages.
        loop: returns one that counts down from a number and ends.
    """

    stages: Mapping[str, str]
    achieved: str
    exit_code: int
    words: tuple[str, ...]
    cpu: str
    probe: Callable[[], bytes]
    loop: Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestCode:
    """Machine code for guests.

    Attributes:
        elf_machine: of its ELF files.
        hang: masks interrupts and loops for ever.
        landings: instructions that a function may have to begin with.
        reseed: opens the path that follows it, reseeds the random numbers by RNDRESEEDCRNG, and ends with 0
            or the errno of what failed.
    """

    elf_machine: int
    hang: bytes
    landings: tuple[bytes, ...]
    reseed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """What kernels of an architecture print where others print something else, as regular expressions.

    Attributes:
        registers: the place, the stack, and the last registers in a dump of them.
        backtrace: what begins a CPU's report; the CPU's number follows.
    """

    registers: tuple[str, str, str]
    backtrace: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Architecture:
    """All that an architecture decides.

    Attributes:
        name: as `uname -m` says it on a host.
        kernels: the same of the kernels that its machines start.
        debian: as Debian says it.
        program, package: its QEMU, and the Debian package that brings it.
        environment: the variable that names another QEMU.
        boards: the usual one first.
        uefi: its UEFI.
        cpu: returns the CPU, as `-cpu` names it, for a version of QEMU (major, minor) and an accelerator.
        console: the guest's serial console.
        kernel_words: kernel parameters that save time.
        tells_tsc: whether a kernel can be told its TSC's frequency.
        starts_elf: whether the kernel inside a packed one is an ELF file that starts faster (PVH).
        modules: what ttylab's initramfs loads besides the modules of images/linux/modules.txt.
        base_image: the image of the catalog whose initramfs serves for users' own kernels.
        test: what tells whether guests run.
        code: machine code for guests.
        says: what its kernels print.
    """

    name: str
    kernels: tuple[str, ...]
    debian: str
    program: str
    package: str
    environment: str
    boards: tuple[QemuBoard, ...]
    uefi: Uefi
    cpu: Callable[[tuple[int, int], AcceleratorName], str]
    console: str
    kernel_words: tuple[str, ...] = ()
    tells_tsc: bool = False
    starts_elf: bool = False
    modules: tuple[str, ...] = ()
    base_image: str
    test: TestProgram
    code: GuestCode
    says: Says

    @property
    def firmwares(self) -> frozenset[Firmware]:
        """What its boards can start with."""
        return frozenset(one for board in self.boards for one in board.firmwares)

    @property
    def console_words(self) -> tuple[str, ...]:
        """The kernel parameters that make its serial port the console."""
        return (f"console={self.console},115200",)


_BASE = 0x400000
_HEADERS = 64 + 56


def make_reseed_program(code: GuestCode) -> bytes:
    """Return a program that reseeds the guest's random numbers: RNDRESEEDCRNG on /dev/urandom.

    It is a static 64-bit ELF that exits with 0, or with the errno of what failed.
    """
    body = code.reseed + b"/dev/urandom\0"
    size = _HEADERS + len(body)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(b"\x7fELF\x02\x01\x01", 2, code.elf_machine, 1),  # ET_EXEC
        *(_BASE + _HEADERS, 64, 0, 0),  # the entry point; the program header follows; no sections
        *(64, 56, 1, 64, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # PT_LOAD, read and execute
    return header + segment + body
