"""Files that nobody else may read: each appears whole, with mode 0600, in a directory of mode 0700."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.errors import LabError
from harness.scenario.errors import ReportError

PRIVATE = 0o600


def make_private_directory(path: Path) -> Path:
    """Make `path` with mode 0700, or take it over if it exists; return its absolute path.

    Raises:
        LabError: it can't be made or is not ours to change.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise LabError(f"directory {path}: {error.strerror}") from error
    return path.absolute()


def write_private(path: Path, data: bytes) -> None:
    """Replace `path` by a file of mode 0600 with `data`; nobody ever sees half of it.

    Raises:
        LabError: it can't be written; `path` is as before.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        _write_new(partial, data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise LabError(f"{path} can't be written: {error.strerror}") from error


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` by one rename; the directories above it are made.

    Raises:
        ReportError: the disk is full or forbids it; `path` is as it was before.
    """
    with staged_directory_beside(path) as beside:
        new = beside / path.name
        new.write_bytes(data)
        new.replace(path)


@contextmanager
def staged_tree(target: Path) -> Iterator[Path]:
    """Give an empty directory that replaces `target` when the body ends well.

    Raises:
        ReportError: the disk is full or forbids it; `target` is as it was before.
    """
    with staged_directory_beside(target) as beside:
        new, old = beside / "new", beside / "old"
        new.mkdir()
        yield new
        with ExitStack() as undo:
            if target.is_dir():
                target.rename(old)
                undo.callback(old.rename, target)
            new.rename(target)
            undo.pop_all()


@contextmanager
def staged_directory_beside(target: Path) -> Iterator[Path]:
    """Give a private directory on the file system of `target`; it is gone at the end.

    Raises:
        ReportError: for every OSError in the body too.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}-", ignore_cleanup_errors=True
        ) as name:
            yield Path(name)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ReportError(f"{target} can't be written: {reason}") from error


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file by one rename.

    Raises:
        ReportError: as `write_whole`.
    """
    with staged_directory_beside(target) as beside:
        new = beside / target.name
        shutil.copyfile(source, new)
        new.replace(target)
