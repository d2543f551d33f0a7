"""Files and directories that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import ReportError


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
