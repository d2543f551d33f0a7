"""Windows as its user registered it: a path, what it is, and who may log in; pure but for its profile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from emulator.errors import SpecError
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import IDENTITY, SacProfile, load_profile

NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
NAME_MOST = 40
UNVERIFIED = "Windows as its user registered it; what it is, ttylab has not verified"
MEMORY_MIB = 4096


class Level(StrEnum):
    """How much was done to come to it (docs/facts/sac.md 4.1)."""

    ISO = "iso"
    """L0: media that boot as they are."""
    DISK = "disk"
    """L1: an installed disk of the user's."""
    INSTALLED = "installed"
    """L2: a base that ttylab installed from the user's media."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """By what a file is known again without reading gigabytes.

    Attributes:
        size: bytes.
        mtime_ns: of the last change.
        ends_sha256: hash of its first and its last MiB.
    """

    size: int
    mtime_ns: int
    ends_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsImage:
    """Windows that can be booted.

    Attributes:
        name: what its user called it.
        level: how it came to be.
        path: of the ISO or disk, which is never copied.
        disk_format: of a disk; None for an ISO.
        identity: the file as it was registered.
        release: whose texts and time-outs it has: one of the SAC profiles.
        firmware: what it boots under.
        tpm: whether the machine has a TPM 2.0.
        user, domain, password: who may log in at cmd; an empty password lets nobody in.
        is_sac_guest: whether the disk is that of ttylab's own SAC guest, so not Windows.

    Raises:
        SpecError: a value is wrong; the text names it and what is allowed.
    """

    name: str
    level: Level
    path: Path
    identity: FileIdentity
    release: str
    firmware: Literal["seabios", "ovmf"]
    disk_format: Literal["raw", "qcow2", "vhdx"] | None = None
    tpm: bool = False
    user: str = "Administrator"
    domain: str = ""
    password: str = field(default="", repr=False)
    is_sac_guest: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be booted, named in a cell, or typed."""
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
        """Of the file's ends: what a reproduction compares."""
        return {"ends": self.identity.ends_sha256}

    @property
    def features(self) -> frozenset[str]:
        """What it offers to scenarios: SAC without knobs, and the firmware that it boots under.

        `registered` keeps it out of a matrix's "all": a matrix means the same on every host.
        """
        profile = self.profile
        flags = {
            "has_powershell": profile.has_powershell and self.level is not Level.ISO,
            "has_livedump": profile.has_livedump,
            "real_windows": not self.is_sac_guest,
        }
        words = {flag for flag, is_there in flags.items() if is_there}
        return frozenset({"sac", "registered", f"boots-{self.firmware}"} | words)

    def provenance(self) -> dict[str, object]:
        """Return, ready for JSON, what it is: for reports. No password, and no path."""
        return {
            "name": self.name,
            "guest": f"{IDENTITY}, registered by its user" if self.is_sac_guest else UNVERIFIED,
            "level": self.level.value,
            "profile": self.release,
            "file": {"name": self.path.name, "size": self.identity.size},
            "sha256": dict(self.sha256),
        }
