"""The SAC guest as an image, with one name for each profile. It is not Windows, and says so."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from emulator import places
from emulator.errors import SpecError
from emulator.files import open_whole
from emulator.guest_text.linux import LinuxProfile
from emulator.machine.spec import Board, Disk, Firmware, MachineSpec, MachineType
from emulator.sac.disk import (
    BOOT_SECTOR,
    DISK_BYTES,
    EFI_STUB,
    IMAGE,
    CrashDump,
    blank_multiboot,
    compose_disk,
    flatten,
    read_dump,
)
from emulator.sac.knobs import FW_CFG_NAME, PROFILES, SacKnobs, parse_knobs
from emulator.sac.profile import IDENTITY, SacProfile, load_profile

DEFAULT_PROFILE = "2022"
SAC_IMAGES: Mapping[str, str] = MappingProxyType(
    {"sac": DEFAULT_PROFILE} | {f"sac-{name}": name for name in PROFILES if name != DEFAULT_PROFILE}
)
"""Profiles by image name."""
COMPUTER_NAME_MAX = 15
"""Longest NetBIOS name, which is what Windows uses as computer name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may log in; an empty domain means the guest's own."""

    user: str = "Administrator"
    domain: str = ""
    password: str = field(default="Passw0rd!", repr=False)  # of ttylab's SAC guest, which keeps no secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class SacConsole:
    """What is needed to speak to a SAC.

    Attributes:
        profile: the release whose texts it says.
        account: who may log in at cmd.
        boots_from_cd: whether media ask for a key before they boot.
    """

    profile: SacProfile
    account: Account
    boots_from_cd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SacImage:
    """A SAC guest that can be booted: "sac", "sac-2016", and the release whose texts it says."""

    name: str
    profile: SacProfile

    @property
    def sha256(self) -> Mapping[str, str]:
        """No hashes: the guest is package data."""
        return {}

    @property
    def features(self) -> frozenset[str]:
        """What it offers to scenarios."""
        return sac_features(self.name)

    @property
    def usual_board(self) -> Board:
        """A PC under SeaBIOS."""
        return Board(machine=MachineType.PC, firmware=Firmware.SEABIOS)

    @property
    def boot_timeout_s(self) -> float:
        """No limit but that of the scenario: it boots in a second."""
        return 0.0

    def provenance(self) -> dict[str, object]:
        """Return what the guest is, ready for JSON: for reports."""
        return {"name": self.name, "guest": IDENTITY, "profile": self.profile.name}

    def spec(self, board: Board) -> MachineSpec:
        """Return a machine that boots its disk, as `sac_spec`; words are knobs, the release is its own."""
        spec = sac_spec(
            way=SacBoot.UEFI_DISK if board.firmware.is_uefi else SacBoot.BIOS_DISK,
            machine=board.machine,
            knobs=parse_knobs((*board.words, f"profile={self.profile.name}")),
            name=board.name or "sac",
            uuid=board.uuid,
        )
        return replace(spec, firmware=board.firmware)

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return the knob that sets its computer name."""
        computer = re.sub(r"[^A-Za-z0-9-]+", "-", host_name)[:COMPUTER_NAME_MAX].upper()
        return (f"computer_name={computer}",)

    def linux_console(self) -> LinuxProfile:
        """Refuse: it is no Linux."""
        raise SpecError(f"image {self.name} is no Linux")

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Return its release, and the account that the knobs give it."""
        account = Account(user=knobs.username, domain=knobs.domain, password=knobs.password)
        return SacConsole(profile=self.profile, account=account)


def sac_image(name: str) -> SacImage:
    """Return the SAC guest called `name`; raises SpecError if there is none."""
    if name not in SAC_IMAGES:
        raise SpecError(f"unknown image {name!r}; SAC guests are: {', '.join(SAC_IMAGES)}")
    return SacImage(name=name, profile=load_profile(SAC_IMAGES[name]))


def sac_features(name: str) -> frozenset[str]:
    """Return what a SAC guest offers to scenarios: the capability flags of its profile, and its knobs.

    Real Windows has `real_windows` instead of `has_knobs`.
    """
    profile = sac_image(name).profile
    flags = {"has_powershell": profile.has_powershell, "has_livedump": profile.has_livedump}
    return frozenset({"sac", "has_knobs"} | {flag for flag, is_there in flags.items() if is_there})


MANUFACTURER = "ttylab"
_PVH, _MULTIBOOT, _SHARED_DISK = "pvh.elf", "multiboot.elf", "disk.img"


class SacBoot(StrEnum):
    """Ways to boot the SAC guest."""

    BIOS_DISK = "bios-disk"
    UEFI_DISK = "uefi-disk"
    MULTIBOOT = "multiboot"
    PVH = "pvh"


def sac_spec(
    *,
    way: SacBoot,
    machine: MachineType = MachineType.Q35,
    vcpus: int = 1,
    memory_mib: int = 64,
    knobs: SacKnobs | None = None,
    name: str = "sac",
    disk: Path | None = None,
    uuid: str | None = None,
    root: Path | None = None,
) -> MachineSpec:
    """Return a machine that boots the SAC guest.

    Without `disk`, which `write_sac_disk` made to keep what the guest writes (a crash dump), the guest has
    its own view of a shared disk: it survives resets, and is dropped with QEMU. SMBIOS tells what it is:
    manufacturer "ttylab", product "ttylab SAC guest (not Windows)". The machine is a pc or q35 with 1 to 4
    vCPUs, of which the guest parks all but one; it shows `uuid`, or zeros. PVH starts through qboot, which is
    fastest. Composed files are kept in `root`, by default `places.sac_guest()`.

    Raises:
        SpecError: a value is wrong, or the machine is a microvm.
        ImageError: the package's data are damaged.
        FileError: a file can't be written.
    """
    if machine is MachineType.MICROVM:
        raise SpecError("machine is microvm; allowed: pc q35 for the SAC guest, which needs ACPI and PCI")
    directory = root or places.sac_guest()
    kernel, disks = _boot_files(way, disk, directory=directory)
    identity = (("manufacturer", MANUFACTURER), ("product", IDENTITY))
    return MachineSpec(
        name=name,
        machine=machine,
        firmware=Firmware.OVMF if way is SacBoot.UEFI_DISK else Firmware.SEABIOS,
        vcpus=vcpus,
        memory_mib=memory_mib,
        kernel=kernel,
        qboot=way is SacBoot.PVH,
        disks=disks,
        fw_cfg=((FW_CFG_NAME, (knobs or SacKnobs()).to_fw_cfg()),),
        smbios=identity if uuid is None else (*identity, ("uuid", uuid)),
    )


def _boot_files(way: SacBoot, disk: Path | None, *, directory: Path) -> tuple[Path | None, tuple[Disk, ...]]:
    own = () if disk is None else (Disk(path=disk),)
    if way in {SacBoot.PVH, SacBoot.MULTIBOOT}:
        return _ensure(directory, _PVH if way is SacBoot.PVH else _MULTIBOOT), own
    return None, own or (Disk(path=_ensure(directory, _SHARED_DISK), discard_writes=True),)


def write_sac_disk(path: Path) -> None:
    """Write a SAC guest's disk to a new file: sparse, 5.3 MiB, 150 KiB of data; OSError: it can't be."""
    parts = compose_disk(flatten(_data(IMAGE)), boot_sector=_data(BOOT_SECTOR), efi_stub=_data(EFI_STUB))
    with path.open("xb") as file:
        _write_parts(file.fileno(), parts)


def read_sac_dump(path: Path) -> CrashDump | None:
    """Return what `read_dump` finds on a disk of `write_sac_disk`; errors are its own, and OSError."""
    return read_dump(path.read_bytes())


def _ensure(directory: Path, name: str) -> Path:
    data = {each: _data(each) for each in (IMAGE, BOOT_SECTOR, EFI_STUB)}
    digest = hashlib.sha256(b"".join(data.values())).hexdigest()[:16]
    path = directory.absolute() / f"{digest}-{name}"
    if path.exists():
        return path
    image = data[IMAGE]
    whole: Iterable[tuple[int, bytes]] = ((0, blank_multiboot(image) if name == _PVH else image),)
    if name == _SHARED_DISK:
        whole = compose_disk(flatten(image), boot_sector=data[BOOT_SECTOR], efi_stub=data[EFI_STUB])
    with open_whole(path, private=True, parents=True) as file:  # several runs may start at once
        _write_parts(file.fileno(), whole, size=DISK_BYTES if name == _SHARED_DISK else 0)
    return path


def _write_parts(fd: int, parts: Iterable[tuple[int, bytes]], *, size: int = DISK_BYTES) -> None:
    os.truncate(fd, size)
    for offset, content in parts:
        os.pwrite(fd, content, offset)


def _data(name: str) -> bytes:
    return (resources.files("emulator.sac") / "data" / name).read_bytes()
