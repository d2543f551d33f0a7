"""Find and read lab.toml: from $TTYLAB_LAB, or upward from the working directory."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from emulator.errors import SpecError
from emulator.files import identity, read_whole
from emulator.guest_text.printable import visible
from emulator.lab_file.tables import COMMANDS, TTYLAB_INITRD, BoardTable, LabTables, Login
from emulator.values import load_toml, read_value

FILE = "lab.toml"
VARIABLE = "TTYLAB_LAB"
"""Names the file, or is empty for none at all; `--lab` sets it, so that workers see what the command saw."""
_SECRET_MOST = 4096
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFile(LabTables):
    """What a lab.toml says, with absolute paths.

    Attributes:
        path: the file; None where there is none.
        roots: the directories of this file and of its bases: modules with scenarios are there.
    """

    path: Path | None = None
    roots: tuple[Path, ...] = ()


_NO_LAB = LabFile()


def current_lab() -> LabFile:
    """Return the lab of this process, read again only when its file has changed; raises as `read_lab`."""
    path = find_lab(Path.cwd())
    return _NO_LAB if path is None else _remembered(path, identity(path))


def find_lab(start: Path) -> Path | None:
    """Return the lab.toml that holds in `start`, or None.

    Raises SpecError if it is neither ours nor of `start`'s owner: its scenarios would run with our rights.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen).absolute() if chosen else None
    directory, above = "", os.fspath(start)  # as text: this is asked for each cell of a matrix
    while directory != above:
        directory, above = above, os.path.dirname(above)  # noqa: PTH120
        path = os.path.join(directory, FILE)  # noqa: PTH118
        if os.path.isfile(path):  # noqa: PTH113
            if os.stat(path).st_uid not in {os.getuid(), 0, start.stat().st_uid}:  # noqa: PTH116
                raise SpecError(f"{visible(path)} belongs to another user; name it by --lab to use it")
            return Path(path)
    return None


@lru_cache(maxsize=4)
def _remembered(path: Path, _identity: tuple[int, ...]) -> LabFile:
    return read_lab(path)


def read_lab(path: Path) -> LabFile:
    """Return what the lab.toml at `path` says; raises SpecError, with one line per complaint."""
    return _read(path.absolute(), ())


def read_brought(value: object, *, who: str) -> LabFile:
    """Return what a package brings: the path of a lab.toml, or its tables as a mapping; raises SpecError.

    Paths of a mapping are relative to the working directory, unless they are absolute.
    """
    if isinstance(value, str | Path):
        try:
            return read_lab(Path(value))
        except SpecError as error:
            raise SpecError(f"{who}: {error}") from error
    return _placed(read_value(value, LabTables, origin=who), Path.cwd(), path=None)


def _read(path: Path, above: tuple[Path, ...]) -> LabFile:
    if path in above:
        raise SpecError(f"{visible(str(above[0]))}: lab.base leads back to {visible(str(path))}")
    lab = _placed(load_toml(path, LabTables), path.parent, path=path)
    return lab if lab.lab.base is None else _over(_read(lab.lab.base, (*above, path)), lab)


def _placed(tables: LabTables, here: Path, *, path: Path | None) -> LabFile:
    """Return tables with the paths in them made absolute, as they stand in a file in `here`."""
    scenarios = tuple(str(here / one) if one.endswith(".py") else one for one in tables.lab.scenarios)
    return LabFile(
        path=path,
        roots=(here,),
        lab=replace(_absolute(tables.lab, here), scenarios=scenarios),
        images={name: _absolute(one, here) for name, one in tables.images.items()},
        machines={
            name: replace(one, qemu=_program(one.qemu, here)) if one.qemu else one
            for name, one in tables.machines.items()
        },
        boards={name: _commands(_absolute(one, here), here) for name, one in tables.boards.items()},
    )


def _over(base: LabFile, lab: LabFile) -> LabFile:
    """Return `lab` with what its base has besides."""
    head = replace(
        lab.lab,
        matrix=lab.lab.matrix or base.lab.matrix,
        scenarios=(*base.lab.scenarios, *lab.lab.scenarios),
        signatures=(*base.lab.signatures, *lab.lab.signatures),
    )
    return replace(
        lab,
        roots=(*lab.roots, *base.roots),
        lab=head,
        images={**base.images, **lab.images},
        machines={**base.machines, **lab.machines},
        boards={**base.boards, **lab.boards},
    )


def _commands(table: BoardTable, here: Path) -> BoardTable:
    """Return the table with programs that are named by a relative path made absolute."""
    given = {key: words for key in COMMANDS if (words := getattr(table, key))}
    placed = {key: (_program(words[0], here), *words[1:]) for key, words in given.items()}
    return replace(table, **placed)  # type: ignore[arg-type]  # each is a command


def _absolute(table: _T, here: Path) -> _T:
    """Return a table with its paths, and those of the tables in it, made absolute."""
    changed: dict[str, Any] = {}
    for one in fields(table):  # type: ignore[arg-type]  # each table is a dataclass
        value = getattr(table, one.name)
        if isinstance(value, Path) and not (one.name == "initrd" and str(value) == TTYLAB_INITRD):
            changed[one.name] = here / value.expanduser()
        elif isinstance(value, tuple) and any(isinstance(part, Path) for part in value):
            changed[one.name] = tuple(here / part.expanduser() for part in value)
        elif is_dataclass(value) and not isinstance(value, type):
            changed[one.name] = _absolute(value, here)
    return replace(table, **changed)  # type: ignore[type-var]


def _program(name: str, here: Path) -> str:
    """Return a program's relative path as an absolute one; a bare name stays."""
    return str(here / name) if "/" in name else name


def password_of(login: Login | None, *, where: str) -> bytes:
    """Return the password of a login, empty if none is named; a SpecError for one not there has `where`."""
    if login is not None and login.password_file is not None:
        try:
            text = read_whole(login.password_file, most=_SECRET_MOST)
        except OSError as error:
            shown = visible(str(login.password_file))
            raise SpecError(f"{where}: password_file {shown}: {error.strerror}") from error
        return text.split(b"\n", 1)[0].rstrip(b"\r")
    if login is None or login.password_env is None:
        return b""
    value = os.environb.get(login.password_env.encode())
    if value is None:
        raise SpecError(f"{where}: password_env names {login.password_env}, which is not set")
    return value
