"""The room that snapshots take: one that nobody uses gives its unpacked RAM back."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from emulator.snapshots.pages import PAGES_FILE

DAY_S = 86400.0
KEEP_AGE_S = 14 * DAY_S
RAM_FILE = "ram"
USED = "used"
"""A file whose time says when the snapshot was last forked, and which its users have locked together."""


class Use:
    """That a snapshot is in use, for as long as this object and its process live."""

    def __init__(self, directory: Path, *, alone: bool = False) -> None:
        """Begin to use it, `alone` to remove a part of it; raises OSError if it is gone, or not alone."""
        self._fd = -1
        self._fd = os.open(directory / USED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Without LOCK_NB: it waits only while somebody unlinks the RAM.
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)

    def __del__(self) -> None:
        """Use it no more."""
        if self._fd >= 0:
            os.close(self._fd)


def drop_unpacked(directory: Path, *, dry_run: bool = False) -> bool:
    """Remove the RAM of a snapshot that nobody uses and that is packed too; tell whether it goes.

    What a killed process left of unpacking it goes with it. Running machines keep what they have mapped.
    """
    with suppress(OSError):
        use = Use(directory, alone=True)
        for path in () if dry_run else _unpacked(directory):
            path.unlink()
        del use
        return True
    return False


def unpacked_bytes(directory: Path) -> int:
    """Return how many bytes `drop_unpacked` would give."""
    with suppress(OSError):
        return sum(path.stat().st_blocks * 512 for path in _unpacked(directory))
    return 0


def disk_bytes(directory: Path) -> int:
    """Return the bytes that a directory's files take on disk, not counting holes; of a missing one none."""
    total = 0
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                total += disk_bytes(Path(entry.path))
            else:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _unpacked(directory: Path) -> list[Path]:
    if not (directory / PAGES_FILE).is_file():
        return []
    return [path for path in (directory / RAM_FILE, *directory.glob(f".{RAM_FILE}.*")) if path.is_file()]
