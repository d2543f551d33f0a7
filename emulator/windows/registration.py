"""From a user's ISO or disk to an image that can be registered, with notes for the user."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree as ET

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from emulator.disks.formats import DiskFormat, detect_format
from emulator.disks.layout import read_layout
from emulator.disks.qemu_img import read_head
from emulator.errors import SpecError
from emulator.files import require_regular
from emulator.machine.disk_files import require_own_disk
from emulator.machine.spec import Firmware
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import IDENTITY, load_profile
from emulator.windows.image import NAME_MOST, Level, WindowsImage
from emulator.windows.registry import identify

MAGIC = b"MSWIM\0\0\0"
_HEADER_LENGTH = 208
_XML_RESOURCE = 0x48
_XML_MOST = 16 << 20  # bytes; Microsoft's media have some 20 KiB
_IMAGES_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One image in a WIM.

    Attributes:
        index: its number, from 1, for `/IMAGE/INDEX`.
        name: as setup shows it ("Windows Server 2022 Standard Evaluation").
        image_name: the WIM's own name for it ("Windows Server 2022 SERVERSTANDARDCORE").
        edition: its id ("ServerStandard"); empty if the WIM has none.
        kind: "Server Core", "Server", "Client", "WindowsPE"; empty if the WIM has none.
        build: Windows' build number ("20348"); empty if the WIM has none.
    """

    index: int
    name: str
    image_name: str = ""
    edition: str = ""
    kind: str = ""
    build: str = ""


def read_editions(file: BinaryIO, *, origin: str) -> tuple[Edition, ...]:
    """Return the editions of a seekable WIM, 16 MiB at most; SpecError: `origin` is none, or damaged."""
    header = file.read(_HEADER_LENGTH)
    if not header.startswith(MAGIC):
        raise SpecError(f"{origin}: not a Windows image file: it begins with {header[:8]!r}, not {MAGIC!r}")
    if len(header) < _HEADER_LENGTH:
        raise SpecError(f"{origin}: truncated: {len(header)} bytes of a header of {_HEADER_LENGTH}")
    packed, offset = struct.unpack_from("<QQ", header, _XML_RESOURCE)
    length = packed & 0x00FF_FFFF_FFFF_FFFF  # the eighth byte has flags
    if not 0 < length <= _XML_MOST:
        raise SpecError(f"{origin}: its list of editions has {length} bytes; allowed: 1 to {_XML_MOST}")
    return _parse(_read_at(file, offset, length, origin=origin), origin=origin)


def find_edition(editions: tuple[Edition, ...], wanted: str, *, origin: str) -> Edition:
    """Return the edition with that number, name, last word, or part of a name; the SpecError lists them."""
    fold = wanted.strip().casefold()
    if not fold:
        raise SpecError(f"--edition is empty; {origin} has: {list_editions(editions)}")
    names = [(one, (one.name.casefold(), one.image_name.casefold())) for one in editions]
    found = [one for one, both in names if fold in {str(one.index), *both, both[1].rpartition(" ")[2]}]
    found = found or [one for one, both in names if any(fold in name for name in both)]
    if len(found) == 1:
        return found[0]
    listed = list_editions(found or editions)
    problem = "names no edition" if not found else "names several editions"
    raise SpecError(f"--edition {wanted!r} {problem} of {origin}; allowed: one of {listed}")


def list_editions(editions: Iterable[Edition]) -> str:
    """Return one line that lists editions."""
    return "; ".join(f"{one.index} {one.name} [{one.image_name}]" for one in editions)


def _read_at(file: BinaryIO, offset: int, length: int, *, origin: str) -> bytes:
    end = file.seek(0, 2)
    if offset + length > end:
        last = offset + length
        raise SpecError(f"{origin}: truncated: {end} bytes long, its list of editions ends at {last}")
    file.seek(offset)
    data = file.read(length)
    if len(data) != length:
        raise SpecError(f"{origin}: truncated: {len(data)} bytes of a list of editions of {length}")
    return data


def _parse(data: bytes, *, origin: str) -> tuple[Edition, ...]:
    try:
        text = data.decode("utf-16")
        if "<!" in text:  # neither a DTD nor entities: they are how XML is made to explode
            raise SpecError(f"{origin}: its list of editions has a DTD, which no Windows media have")
        root = ET.fromstring(text)  # noqa: S314  # bounded, and without a DTD
    except (UnicodeDecodeError, ET.ParseError) as error:
        raise SpecError(f"{origin}: its list of editions is damaged: {error}") from error
    images = root.findall("IMAGE")[:_IMAGES_MOST]
    editions = tuple(_edition(image, origin=origin) for image in images)
    if not editions:
        raise SpecError(f"{origin}: its list of editions is empty")
    return editions


def _edition(image: ET.Element, *, origin: str) -> Edition:
    index = image.get("INDEX", "")
    if not (index.isascii() and index.isdigit()):
        raise SpecError(f"{origin}: its list of editions is damaged: an image has the index {index!r}")

    def text(path: str) -> str:
        # It is shown on a terminal, which must not interpret it.
        return "".join(one if one.isprintable() else "?" for one in (image.findtext(path) or "").strip())

    return Edition(
        index=int(index),
        name=text("DISPLAYNAME") or text("NAME") or f"image {index}",
        image_name=text("NAME"),
        edition=text("WINDOWS/EDITIONID"),
        kind=text("WINDOWS/INSTALLATIONTYPE"),
        build=text("WINDOWS/VERSION/BUILD"),
    )


_DESCRIPTOR = 0x8000
_ISO_MARKS = (b"CD001", b"BEA01")
_SOURCES = "sources"
_INSTALL = ("install.wim", "install.esd", "install.swm")
_BOOT = "boot.wim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What is on an ISO: the names of the WIM with WinPE and of the one to install from, empty for none."""

    boot: str
    install: str
    editions: tuple[Edition, ...] = ()


def require_file(path: Path, *, option: str) -> Path:
    """Return the absolute path of a file that can be read; raises SpecError if there is none."""
    path = path.expanduser().absolute()
    try:
        require_regular(path)
    except FileNotFoundError:
        raise SpecError(f"{option} {path}: there is no such file") from None
    except OSError as error:
        raise SpecError(f"{option} {path}: {error.strerror}") from error
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise SpecError(f"{option} {path}: can't be read: {error.strerror}") from error


def read_media(path: Path) -> Media:
    """Return what is on a Windows ISO; raises SpecError if it is none, or damaged."""
    with _opened(path) as iso:
        key, directory, names = _sources(iso)
        boot = _find(names, (_BOOT,))
        install = _find(names, _INSTALL)
        if not boot and not install:
            wanted = f"neither {_SOURCES}/{_BOOT} nor {_SOURCES}/{_INSTALL[0]} is there"
            raise SpecError(f"--iso {path}: not Windows' media: {wanted}")
        editions: tuple[Edition, ...] = ()
        if install:
            origin = f"{path}: {_SOURCES}/{install}"
            with _as_spec_error(path), iso.open_file_from_iso(**{key: f"{directory}/{install}"}) as file:
                editions = read_editions(file, origin=origin)
    return Media(boot=boot, install=install, editions=editions)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        file.seek(_DESCRIPTOR + 1)
        if file.read(5) not in _ISO_MARKS:
            missing = f"it has no volume descriptor at byte {_DESCRIPTOR}"
            raise SpecError(f"--iso {path}: not an ISO image: {missing}")
    iso = pycdlib.PyCdlib()
    with _as_spec_error(path):
        iso.open(str(path))
    try:
        yield iso
    finally:
        iso.close()


@contextmanager
def _as_spec_error(path: Path) -> Iterator[None]:
    try:
        yield
    except SpecError:
        raise
    except Exception as error:  # the library raises struct.error, IndexError and others on damaged files
        raise SpecError(f"--iso {path}: damaged, or not of a kind that can be read: {error!r}") from error


def _sources(iso: Any) -> tuple[str, str, tuple[str, ...]]:
    """Return the kind and path by which pycdlib knows the directory `sources`, and the names of its files.

    Microsoft's media are UDF, with one text file in the ISO 9660 part; others have everything in Joliet.
    """
    ways = (("udf_path", iso.has_udf()), ("joliet_path", iso.has_joliet()), ("iso_path", True))
    for key in (key for key, is_there in ways if is_there):
        for directory in (f"/{_SOURCES}", f"/{_SOURCES.upper()}"):
            with suppress(PyCdlibException):
                there = [one for one in iso.list_children(**{key: directory}) if one is not None]
                named = (one for one in there if not one.is_dot() and not one.is_dotdot())
                paths = tuple(iso.full_path_from_dirrecord(one) for one in named)
                return key, directory, tuple(path.rsplit("/", 1)[-1] for path in paths)
    return "iso_path", "", ()


def _find(names: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    plain = {name.split(";")[0].lower(): name for name in names}
    return next((plain[one] for one in wanted if one in plain), "")


DEFAULT_RELEASE = "2022"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationOptions:
    """What the user says about an image; None lets ttylab find out.

    Attributes:
        name: its name; "" makes one from the file's name.
        release: the release whose texts its console has.
        firmware: what it boots under.
        disk_format: format of the disk's file.
        tpm: whether the machine has a TPM 2.0.
        user, domain, password: who may log in at cmd.
    """

    name: str = ""
    release: str | None = None
    firmware: Firmware | None = None
    disk_format: DiskFormat | None = None
    tpm: bool = False
    user: str = "Administrator"
    domain: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An image that can be registered, and what its user should know, one line each."""

    image: WindowsImage
    notes: tuple[str, ...] = ()


def propose_iso(path: Path, options: RegistrationOptions) -> Proposal:
    """Return the image that boots an ISO as it is; raises SpecError if it can't be, or an option is wrong."""
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
        SpecError: there is no such file, it is not a disk that boots, it rests on another file, or an option
            is wrong.
        ImageError: the disk is damaged.
        MissingPrerequisite: the disk is not raw, and qemu-img is not installed.
    """
    path = require_file(path, option="--disk")
    found = detect_format(path)
    disk_format = options.disk_format or found
    if disk_format not in {found, DiskFormat.RAW}:
        raise SpecError(f"--format {disk_format}: {path} is {found}; leave it out, or say {found}")
    require_own_disk(path, disk_format)
    head = read_head(path, disk_format=disk_format)
    layout, is_sac_guest = read_layout(head, origin=f"--disk {path}"), IDENTITY.encode() in head
    release, notes = _release(options, ())
    if is_sac_guest:
        notes += ("this is a disk of ttylab's own SAC guest, which is not Windows; reports will say so",)
    elif not layout.maybe_windows:
        notes += ("it has none of the partitions that Windows makes: is it Windows?",)
    if not options.password:
        notes += ("no password was given, so nobody can log in at cmd (--password-file)",)
    image = WindowsImage(
        name=options.name or name_of(path),
        level=Level.DISK,
        path=path,
        disk_format=disk_format,
        identity=identify(path),
        release=release,
        firmware=options.firmware or Firmware(layout.firmware),
        tpm=options.tpm,
        user=options.user,
        domain=options.domain,
        password=options.password,
        is_sac_guest=is_sac_guest,
    )
    return Proposal(image=image, notes=notes)


def builds_of(media: Media) -> tuple[str, ...]:
    """Return the builds of the editions on an ISO."""
    return tuple(dict.fromkeys(one.build for one in media.editions if one.build))


def release_of(builds: tuple[str, ...]) -> str | None:
    """Return the release that has one of `builds`, or None if no build is known."""
    known = {load_profile(name).os_build: name for name in PROFILES}
    return next((known[build] for build in builds if build in known), None)


def name_of(path: Path) -> str:
    """Return a name for an image, made from its file's name."""
    words = re.findall(r"[a-z0-9]+", path.stem.lower())
    return "-".join(words)[:NAME_MOST].strip("-") or "windows"


def _release(options: RegistrationOptions, builds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    if found := options.release or release_of(builds):
        return found, ()
    what = f"build {builds[0]} is of no release that ttylab knows" if builds else "its release is not known"
    return DEFAULT_RELEASE, (f"{what}: taken for {DEFAULT_RELEASE} (--release says otherwise)",)
