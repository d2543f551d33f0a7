"""What a PC for Windows has beyond others, and QEMU's words for it; pure.

No driver is needed beyond Windows' own: IDE or AHCI disks and CDs, an e1000e, COM2 (docs/facts/sac.md 4.2).
The clock shows UTC as on all our machines; `smm` and hence secure firmware are QEMU's default on q35.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emulator.errors import SpecError

COM2_CHARDEV = "com2"
FIRMWARE_CHARDEV = "firmware"
TPM_CHARDEV = "tpm"
TCG_CPU = "Nehalem"
"""Windows wants cmpxchg16b, Server 2025 SSE4.2 and POPCNT too. Nobody has seen it run on this under TCG."""
KVM_CPU = "host,hv_relaxed,hv_vapic,hv_spinlocks=0x1fff,hv_time"
"""The enlightenments do nothing under TCG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsParts:
    """What a machine for Windows has; COM2, a network card without a way out, and a screen it always has.

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
        for name in ("cdroms", "acpi_tables"):
            paths = getattr(self, name)
            if not isinstance(paths, tuple) or not all(_is_path(path) for path in paths):
                raise SpecError(
                    f"windows.{name} is {paths!r}; allowed: a tuple of absolute paths without NUL"
                )
        if not isinstance(self.tpm, bool):
            raise SpecError(f"windows.tpm is {self.tpm!r}; allowed: true, false")


def windows_cpu(accelerator: Literal["tcg", "kvm"]) -> str:
    """Return the CPU that Windows is shown."""
    return KVM_CPU if accelerator == "kvm" else TCG_CPU


def windows_words(
    parts: WindowsParts,
    *,
    cd_places: Iterable[str],
    boot_from: int,
    com2_file: Path | None,
    firmware_file: Path | None,
    tpm_fd: int | None,
) -> tuple[str, ...]:
    """Return the words for `parts`.

    Args:
        parts: what the machine has.
        cd_places: where each CD is plugged in, in QEMU's words.
        boot_from: the first CD's place in the order of boot.
        com2_file: where COM2's output is appended.
        firmware_file: where SeaBIOS' own words are appended.
        tpm_fd: number, in the child, of a socket whose other end is swtpm's control channel.
    """
    words = ["-chardev", f"file,id={COM2_CHARDEV},path={_escaped(com2_file)},append=on"]
    words += ["-serial", f"chardev:{COM2_CHARDEV}"]
    # SeaBIOS tells port 0x402 what it does; that it found nothing to boot only the screen says besides.
    words += ["-chardev", f"file,id={FIRMWARE_CHARDEV},path={_escaped(firmware_file)},append=on"]
    words += ["-device", f"isa-debugcon,iobase=0x402,chardev={FIRMWARE_CHARDEV}"]
    for number, (path, place) in enumerate(zip(parts.cdroms, cd_places, strict=True)):
        words += ["-drive", f"if=none,id=cd{number},media=cdrom,readonly=on,format=raw,file={_escaped(path)}"]
        words += ["-device", f"ide-cd,{place},drive=cd{number},bootindex={boot_from + number}"]
    for path in parts.acpi_tables:
        words += ["-acpitable", f"file={_escaped(path)}"]
    # Without its ROM no firmware tries to boot from a network that leads nowhere.
    words += ["-netdev", "user,id=net0,restrict=on", "-device", "e1000e,netdev=net0,romfile="]
    if tpm_fd is not None:
        words += ["-chardev", f"socket,id={TPM_CHARDEV},fd={tpm_fd}"]
        words += ["-tpmdev", f"emulator,id=tpm0,chardev={TPM_CHARDEV}", "-device", "tpm-crb,tpmdev=tpm0"]
    return tuple(words)


def _is_path(path: object) -> bool:
    return isinstance(path, Path) and path.is_absolute() and "\0" not in str(path)


def _escaped(path: Path | None) -> str:
    return str(path).replace(",", ",,")
