"""What a file is that a user brings: is it there, is it an ISO, is it Windows' media, with which editions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from emulator.errors import SpecError
from emulator.images.windows.wim import Edition, read_editions

_DESCRIPTOR = 0x8000
_ISO_MARKS = (b"CD001", b"BEA01")
_SOURCES = "sources"
_INSTALL = ("install.wim", "install.esd", "install.swm")
_BOOT = "boot.wim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What is on an ISO.

    Attributes:
        boot: path of the WIM with WinPE; empty if there is none.
        install: path of the WIM to install from; empty if there is none, as on WinPE's own ISOs.
        editions: what can be installed.
    """

    boot: str
    install: str
    editions: tuple[Edition, ...] = ()


def require_file(path: Path, *, option: str) -> Path:
    """Return the absolute path of a file that can be read.

    Raises:
        SpecError: it is not there, is none, or can't be read.
    """
    path = path.expanduser().absolute()
    try:
        if not path.is_file():
            problem = "is a directory, not a file" if path.is_dir() else "there is no such file"
            raise SpecError(f"{option} {path}: {problem}")
        with path.open("rb"):
            return path
    except OSError as error:
        raise SpecError(f"{option} {path}: can't be read: {error.strerror}") from error


def read_media(path: Path) -> Media:
    """Return what is on a Windows ISO.

    Raises:
        SpecError: it is no ISO, is damaged, or has no Windows on it.
    """
    with _opened(path) as iso:
        view, names = _sources(iso)
        boot = _find(names, (_BOOT,))
        install = _find(names, _INSTALL)
        if not boot and not install:
            wanted = f"neither {_SOURCES}/{_BOOT} nor {_SOURCES}/{_INSTALL[0]} is there"
            raise SpecError(f"--iso {path}: not Windows' media: {wanted}")
        editions: tuple[Edition, ...] = ()
        if install:
            origin = f"{path}: {_SOURCES}/{install}"
            with _damage_told(path), iso.open_file_from_iso(**view(install)) as file:
                editions = read_editions(file, origin=origin)
    return Media(boot=boot, install=install, editions=editions)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        file.seek(_DESCRIPTOR + 1)
        if file.read(5) not in _ISO_MARKS:
            raise SpecError(f"--iso {path}: no ISO image: it has no volume descriptor at byte {_DESCRIPTOR}")
    iso = pycdlib.PyCdlib()
    with _damage_told(path):
        iso.open(str(path))
    try:
        yield iso
    finally:
        iso.close()


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except SpecError:
        raise
    except Exception as error:  # the library raises struct.error, IndexError and others on damaged files
        raise SpecError(f"--iso {path}: damaged, or not of a kind that can be read: {error!r}") from error


def _sources(iso: Any) -> tuple[Callable[[str], dict[str, str]], tuple[str, ...]]:
    """Return how to name a file of the directory `sources`, and the names of those in it.

    Microsoft's media are UDF with an ISO 9660 part that has one text file; others have all in Joliet.
    """
    ways = (("udf_path", iso.has_udf()), ("joliet_path", iso.has_joliet()), ("iso_path", True))
    for key in (key for key, is_there in ways if is_there):
        for directory in (f"/{_SOURCES}", f"/{_SOURCES.upper()}"):
            with suppress(PyCdlibException):
                names = tuple(iso.full_path_from_dirrecord(one).rsplit("/", 1)[-1]
                              for one in iso.list_children(**{key: directory}) if _is_named(one))  # fmt: skip

                def view(name: str, key: str = key, directory: str = directory) -> dict[str, str]:
                    return {key: f"{directory}/{name}"}

                return view, names
    return (lambda name: {"iso_path": name}), ()


def _is_named(record: Any) -> bool:
    return record is not None and not record.is_dot() and not record.is_dotdot()


def _find(names: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    plain = {name.split(";")[0].lower(): name for name in names}
    return next((plain[one] for one in wanted if one in plain), "")
