"""From a file of the user's to an image that can be registered: what it is, what is wrong with it, notes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from emulator.errors import SpecError
from emulator.machine.spec import Firmware
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile
from emulator.windows.disk import Format, detect_format, read_head, read_layout
from emulator.windows.image import NAME_MOST, Level, WindowsImage
from emulator.windows.media import Media, read_media, require_file
from emulator.windows.registry import identify

DEFAULT_RELEASE = "2022"
_HEAD = 0x8800
"""Bytes in which all formats that are known have their mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationOptions:
    """What the user says of an image; None lets ttylab find out.

    Attributes:
        name: its name; "" takes the file's.
        release: whose texts its console has.
        firmware: what it boots under.
        disk_format: how the disk's file is laid out.
        tpm: whether the machine has a TPM 2.0.
        user, domain, password: who may log in at cmd.
    """

    name: str = ""
    release: str | None = None
    firmware: Firmware | None = None
    disk_format: Format | None = None
    tpm: bool = False
    user: str = "Administrator"
    domain: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An image that can be registered.

    Attributes:
        image: what it is.
        notes: what its user should know, a line each.
    """

    image: WindowsImage
    notes: tuple[str, ...] = ()


def propose_iso(path: Path, options: RegistrationOptions) -> Proposal:
    """Return the image that boots an ISO as it is.

    Raises:
        SpecError: there is no such file, it is no ISO, or has no Windows on it; or an option is wrong.
    """
    path = require_file(path, option="--iso")
    media = read_media(path)
    release, notes = _release(options, builds_of(media))
    image = WindowsImage(
        name=options.name or name_of(path),
        level=Level.ISO,
        path=path,
        identity=identify(path),
        release=release,
        firmware=options.firmware or Firmware.OVMF,
        tpm=options.tpm,
    )
    return Proposal(image=image, notes=notes)


def propose_disk(path: Path, options: RegistrationOptions) -> Proposal:
    """Return the image that boots an installed disk.

    Raises:
        SpecError: there is no such file, it is no disk that boots, or an option is wrong.
        ImageError: the disk is damaged.
        MissingPrerequisite: the disk is not raw, and qemu-img is not installed.
    """
    path = require_file(path, option="--disk")
    with path.open("rb") as file:
        found = detect_format(file.read(_HEAD), origin=str(path))
    disk_format = options.disk_format or found
    if disk_format not in {found, "raw"}:
        raise SpecError(f"--format {disk_format}: {path} is {found}; leave it out, or say {found}")
    layout = read_layout(read_head(path, disk_format=disk_format), origin=str(path))
    release, notes = _release(options, ())
    if layout.is_sac_guest:
        notes += ("this is a disk of ttylab's own SAC guest, which is not Windows; reports will say so",)
    elif not layout.maybe_windows:
        notes += ("it has none of the partitions that Windows makes: is it Windows?",)
    if not options.password:
        notes += ("no password was given, so nothing can log in at cmd (--password-file)",)
    image = WindowsImage(
        name=options.name or name_of(path),
        level=Level.DISK,
        path=path,
        disk_format=disk_format,
        identity=identify(path),
        release=release,
        firmware=options.firmware or layout.firmware,
        tpm=options.tpm,
        user=options.user,
        domain=options.domain,
        password=options.password,
        is_sac_guest=layout.is_sac_guest,
    )
    return Proposal(image=image, notes=notes)


def builds_of(media: Media) -> tuple[str, ...]:
    """Return the builds of the editions on an ISO."""
    return tuple(dict.fromkeys(one.build for one in media.editions if one.build))


def release_of(builds: tuple[str, ...]) -> str | None:
    """Return the release that has one of `builds`; None if none is known."""
    known = {load_profile(name).os_build: name for name in PROFILES}
    return next((known[build] for build in builds if build in known), None)


def name_of(path: Path) -> str:
    """Return a name for an image, made of its file's."""
    words = re.findall(r"[a-z0-9]+", path.stem.lower())
    return "-".join(words)[:NAME_MOST].strip("-") or "windows"


def _release(options: RegistrationOptions, builds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if options.release is not None:
        return options.release, ()
    found = release_of(builds)
    if found is not None:
        return found, ()
    what = f"build {builds[0]} is of no release that ttylab knows" if builds else "its release is not known"
    return DEFAULT_RELEASE, (f"{what}: taken for {DEFAULT_RELEASE} (--release says otherwise)",)
