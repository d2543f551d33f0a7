"""The room of copies that were made of users' files: old ones go, and are made again when wanted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from emulator import places
from emulator.clock import utc_now
from emulator.snapshots.room import DAY_S, KEEP_AGE_S, disk_bytes

OWN_BYTES = 2**29
"""Bytes that stay for KEEP_AGE_S; what is beyond them stays for a day after its last use."""


def mark_used(file: Path) -> None:
    """Note that a file of the cache is used now; one that is not there, or elsewhere, is none."""
    if file.parent.parent == places.own_files():
        with suppress(OSError):
            os.utime(file.parent)


def tidy_own(*, max_bytes: int = OWN_BYTES, dry_run: bool = False) -> tuple[Path, ...]:
    """Remove what has been unused for long, the last used last; return what went, or would go."""
    kept, gone = 0, []
    for unused_s, directory in sorted(_kept()):
        kept += (size := disk_bytes(directory))
        if unused_s >= KEEP_AGE_S or (kept > max_bytes and unused_s >= DAY_S):
            kept -= size
            gone.append(directory)
            if not dry_run:
                shutil.rmtree(directory, ignore_errors=True)
    return tuple(gone)


def _kept() -> Iterator[tuple[float, Path]]:
    """Yield each directory, which is named by a hash, and the seconds since its last use."""
    now = utc_now().timestamp()
    with suppress(OSError):
        for path in places.own_files().iterdir():
            if path.is_dir() and path.name != "hashes":
                yield now - path.stat().st_mtime, path
