"""Run directories: where a server's guests keep their files while it runs.

A lock tells whether the server is alive. The directory of a killed one is removed by the next start or by
`ttylab gc`.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from emulator import places
from emulator.files import PRIVATE, make_private_directory

_LOCK = ".lock"


@contextmanager
def open_run_dir(root: Path | None = None) -> Iterator[Path]:
    """Make a directory for one server and remove it at the end; those of dead servers are removed first.

    Raises:
        LabError: the directory can't be made.
    """
    root = make_private_directory(root or places.served_guests())
    collect_run_dirs(root)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    # The lock exists before the directory: anyone who sees the directory can tell if its owner is alive.
    lock = _lock_of(root / name)
    with lock:
        path = make_private_directory(root / name)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            _lock_path(path).unlink(missing_ok=True)


def collect_run_dirs(root: Path | None = None, *, dry_run: bool = False) -> list[Path]:
    """Remove the directories of dead servers and return them."""
    root = root or places.served_guests()
    if not root.is_dir():
        return []
    return [path for path in sorted(root.iterdir()) if path.is_dir() and _collect(path, dry_run=dry_run)]


def _collect(path: Path, *, dry_run: bool) -> bool:
    try:
        with _lock_of(path):
            if not dry_run:
                shutil.rmtree(path, ignore_errors=True)
                _lock_path(path).unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _lock_of(path: Path) -> FileLock:
    return FileLock(_lock_path(path), timeout=0, mode=PRIVATE)


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}{_LOCK}")
