"""The tables of a lab.toml as checked values: what users say of their images, machines and boards; pure.

Paths are as the file has them until `emulator.lab_file.read` has made them absolute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from emulator.errors import SpecError

TTYLAB_INITRD = "ttylab"
"""What `initrd` says for ttylab's own initramfs."""
CLOUD_INIT = "cloud-init"
NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
"""A name of an image, a machine or a board; it stands in a cell's id, where machines have no dot."""
USER = re.compile(r"^[^\s:]{1,64}$")
PromptsName = Literal["debian", "rhel", "suse", "alpine", "openwrt", "freebsd"]
Words = Annotated[tuple[Annotated[str, Field(pattern=r"^[^\x00]+$")], ...], Field(min_length=1)]
_Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """[lab]: what belongs to the lab as a whole.

    Attributes:
        base: another lab.toml, to whose content this one adds; of two things with one name this one's holds.
        matrix: the matrix that `ttylab run` plays by default; None is the shipped one.
        scenarios: files with SCENARIOS, or names of modules that have it.
        signatures: files with rules.
    """

    base: Path | None = None
    matrix: Path | None = None
    scenarios: tuple[_Text, ...] = ()
    signatures: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who logs in; the password is the first line of a file, or a variable, never in lab.toml itself."""

    user: Annotated[str, Field(pattern=USER.pattern)] = "root"
    password_file: Path | None = None
    password_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    def __post_init__(self) -> None:
        """Refuse two sources of one password."""
        if self.password_file is not None and self.password_env is not None:
            raise SpecError("has password_file and password_env; allowed: one of them, or none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Patterns of what asks for a name, a password, a command, and of what refuses; None: as everywhere."""

    login: _Text | None = None
    password: _Text | None = None
    prompt: _Text | None = None
    refused: _Text | None = None

    def __post_init__(self) -> None:
        """Refuse what is no pattern."""
        for name in ("login", "password", "prompt", "refused"):
            pattern = getattr(self, name)
            try:
                re.compile((pattern or "").encode())
            except re.error as error:
                raise SpecError(f"{name} is {pattern!r}, which is no regular expression: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTable:
    """[images.NAME]: a kernel, or a disk.

    Attributes:
        kernel: a bzImage, a vmlinux, an arm64 Image; excludes `disk`.
        initrd: a file, or "ttylab" for ttylab's own initramfs; None: none. Needs a kernel.
        modules: a directory with the kernel's modules, as `make modules_install` leaves them, for ttylab's
            initramfs.
        append: kernel parameters: of a kernel, added to those that its console needs.
        disk: raw, qcow2, VHD, VHDX or VMDK; it is never written.
        firmware: what starts it by default.
        machine: the board that it boots on by default.
        memory_mib: MiB of memory that it needs.
        boot_timeout_s: seconds that a boot may take; None as for others.
        login: who logs in; None: nobody is asked, or no password is.
        prompts: by a distribution's name, or as patterns of its own; None finds out.
        bus: what a disk is on: "virtio", or "sata" (IDE on pc); None goes by its format.
        seed: "cloud-init" adds a CD from which it takes user, password and console.
    """

    kernel: Path | None = None
    initrd: Path | None = None
    modules: Path | None = None
    append: tuple[_Text, ...] = ()
    disk: Path | None = None
    firmware: _Text | None = None
    machine: _Text | None = None
    memory_mib: Annotated[int, Field(ge=64, le=65536)] | None = None
    boot_timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    login: Login | None = None
    prompts: PromptsName | Prompts | None = None
    bus: Literal["virtio", "sata"] | None = None
    seed: Literal["cloud-init"] | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be booted, and what nobody would read."""
        if (self.kernel is None) == (self.disk is None):
            raise SpecError("needs a kernel or a disk, and not both")
        useless = [name for name in ("initrd", "modules", "append") if getattr(self, name)]
        if self.disk is not None and useless:
            raise SpecError(f"has {', '.join(useless)}; allowed: none with a disk, which boots its own")
        if self.disk is None and (self.seed is not None or self.bus is not None):
            raise SpecError("has seed or bus; allowed: only with a disk")
        if self.modules is not None and not self.is_ttylabs:
            raise SpecError(f'has modules; allowed: only with initrd = "{TTYLAB_INITRD}"')

    @property
    def is_ttylabs(self) -> bool:
        """Whether it has ttylab's own initramfs."""
        return str(self.initrd) == TTYLAB_INITRD


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTable:
    """[machines.NAME]: a board of QEMU's with other properties, for the axis `machines` of matrices.

    Attributes:
        base: the board: "pc", "q35", "microvm", "virt".
        memory_mib: MiB; None leaves it to the image.
        vcpus_max: the most CPUs that cells may ask for.
        qemu: another program, by path or name; None is the usual one.
        args: more words for QEMU's command line.
    """

    base: _Text
    memory_mib: Annotated[int, Field(ge=64, le=65536)] | None = None
    vcpus_max: Annotated[int, Field(ge=1, le=64)] = 64
    qemu: _Text | None = None
    args: tuple[_Text, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardTable:
    """[boards.NAME]: real hardware, for the axis `targets` of matrices.

    What has no command is a capability that is missing: scenarios that need it are skipped.

    Attributes:
        console: any URL of pyserial's.
        baud: of the console.
        dtr, rts: what the lines are when the port is opened; None leaves them as pyserial does.
        power_on, power_off, reset, nmi: commands, as lists of words; no shell reads them, and they run in
            lab.toml's directory.
        command_s: seconds that a command may take.
        off_s: seconds that the board stays off, once it was switched off.
        vcpus: its processors, for scenarios that need several.
        boot_timeout_s: seconds that a boot may take; None as for others.
        login, prompts: as of an image.
    """

    console: _Text
    baud: Annotated[int, Field(ge=50, le=4_000_000)] = 115200
    dtr: bool | None = None
    rts: bool | None = None
    power_on: Words | None = None
    power_off: Words | None = None
    reset: Words | None = None
    nmi: Words | None = None
    command_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    off_s: Annotated[float, Field(ge=0, le=600)] = 1.0
    vcpus: Annotated[int, Field(ge=1, le=64)] = 1
    boot_timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    login: Login | None = None
    prompts: PromptsName | Prompts | None = None

    @property
    def can_cycle(self) -> bool:
        """Whether its power can be cut and given again."""
        return self.power_off is not None and self.power_on is not None

    @property
    def can_restart(self) -> bool:
        """Whether a boot can be made to begin."""
        return self.can_cycle or self.reset is not None


COMMANDS = ("power_on", "power_off", "reset", "nmi")
"""The keys of a board's commands."""
TARGETS = ("machine", "serial", "service")
"""The targets that are no boards, whose names no board may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabTables:
    """A whole lab.toml."""

    lab: Head = field(default_factory=Head)
    images: Mapping[str, ImageTable] = field(default_factory=dict)
    machines: Mapping[str, MachineTable] = field(default_factory=dict)
    boards: Mapping[str, BoardTable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that no cell's id could have."""
        for kind, names in (("images", self.images), ("machines", self.machines), ("boards", self.boards)):
            for name in names:
                if not NAME.fullmatch(name) or (kind == "machines" and "." in name):
                    dots = "" if kind == "machines" else " and '.'"
                    raise SpecError(f"{kind}.{name}: names are lower-case letters, digits, '-'{dots}")
        if both := sorted(set(self.images) & set(self.boards)):
            raise SpecError(f"boards.{both[0]}: an image has that name; choose another")
        taken = [f"boards.{name}" for name in sorted(set(self.boards) & set(TARGETS))]
        taken += [f"machines.{name}" for name in self.machines if name == "board"]
        if taken:
            raise SpecError(f"{taken[0]}: that is the name of a kind of target; choose another")
