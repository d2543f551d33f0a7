"""Files that nobody else may read: each appears whole, with mode 0600, in a directory of mode 0700."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from emulator.errors import LabError

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
