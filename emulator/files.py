"""Files and directories that appear whole or not at all, some readable only by their owner.

What is unfinished lies beside its target as `.TARGET.….partial`, which for a file includes its writer's pid.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from emulator.errors import FileError, LockHeld

PRIVATE, PRIVATE_DIRECTORY = 0o600, 0o700
_PARTIAL = ".partial"
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


def require_regular(path: Path, *, most: int | None = None) -> int:
    """Return the size of a regular file; links are followed, nothing is opened, which a FIFO would block.

    Raises:
        OSError: it is missing, of another kind, or has more than `most` bytes; `strerror` is for people.
    """
    facts = path.stat()
    kind = next((name for test, name in _KINDS if test(facts.st_mode)), "")
    if kind:
        code = errno.EISDIR if kind == "a directory" else errno.EINVAL
        raise OSError(code, f"is {kind}, not a file", str(path))
    if most is not None and facts.st_size > most:
        raise OSError(errno.EFBIG, f"it has {facts.st_size} bytes; allowed: {most}", str(path))
    return facts.st_size


def identity(path: Path) -> tuple[int, ...]:
    """Return numbers that change when the file is written or replaced; empty if it does not exist."""
    try:
        now = path.stat()
    except OSError:
        return ()
    return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


def read_whole(path: Path, *, most: int) -> bytes:
    """Return the content of a regular file of `most` bytes or fewer; errors are those of `require_regular`.

    It never waits: whoever can write the file may have put a FIFO or an endless device in its place.
    """
    require_regular(path, most=most)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))
    return data


def make_private_directory(path: Path, *, users: bool = False) -> Path:
    """Make `path` with mode 0700; return its absolute path.

    One that exists gets that mode too, unless it may be a directory that `users` chose and have more in.

    Raises:
        FileError: it can't be made, or is not ours to change.
    """
    try:
        make_missing(path)
        if not users:
            path.chmod(PRIVATE_DIRECTORY)
    except OSError as error:
        raise FileError(f"directory {path}: {error.strerror}") from error
    return path.absolute()


def make_missing(path: Path) -> None:
    """Make the directory `path` and its missing parents, 0700; what exists stays as it is. Raises OSError."""
    for each in reversed((path, *path.parents)):
        if each == path or not each.exists():
            each.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)


def open_private(path: Path) -> FileIO:
    """Return a new or emptied file of mode 0600 for unbuffered writing; raises OSError."""
    file = FileIO(path, "wb", opener=lambda name, flags: os.open(name, flags, PRIVATE))
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        os.fchmod(file.fileno(), PRIVATE)  # it may have been there
    return file


def make_private(tree: Path) -> None:
    """Give `tree` and all in it the modes 0700 and 0600, whatever the umask was when others wrote it.

    Links are left alone, and so is what is not ours or goes meanwhile.
    """
    for directory, _, names in os.walk(tree, onerror=None):
        for path in (Path(directory), *(Path(directory) / name for name in names)):
            with suppress(OSError):
                if not path.is_symlink():
                    path.chmod(PRIVATE_DIRECTORY if path.is_dir() else PRIVATE)


def write_whole(
    path: Path, data: bytes, *, private: bool = False, parents: bool = False, durable: bool = False
) -> None:
    """Replace `path` with a file of `data`; arguments and errors are those of `open_whole`."""
    with open_whole(path, private=private, parents=parents, durable=durable) as file:
        file.write(data)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Replace `path` with a private file of `value`; errors are those of `open_whole`."""
    write_whole(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), private=True)


@contextmanager
def open_whole(
    path: Path, *, private: bool = False, parents: bool = False, durable: bool = False
) -> Iterator[BinaryIO]:
    """Give a new file that replaces `path` if the body succeeds; nobody ever sees half of it.

    A symlink stays, and what it names is replaced. A device or a pipe is written to as it is.

    Args:
        path: the file.
        private: whether the file, and directories made for it, are only for their owner.
        parents: whether to make missing parent directories.
        durable: whether the data must be on the disk before the file appears, which can take seconds.

    Raises:
        FileError: it can't be written, or the body raised OSError; `path` is unchanged.
    """
    if _is_stream(path):
        with _explained(path), _open_stream(path) as file:
            yield file
        return
    path = path.resolve() if path.is_symlink() else path
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.{os.getpid()}{_PARTIAL}")
    with _explained(path), ExitStack() as cleanup:
        if parents and private:
            make_missing(path.parent)
        elif parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE if private else 0o666)
        cleanup.callback(partial.unlink, missing_ok=True)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(descriptor)
        partial.replace(path)


def _is_stream(path: Path) -> bool:
    """Tell whether something that is no file is there, to which one writes: a device, a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _open_stream(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # a pipe without a reader is an error, no wait
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


@contextmanager
def staged_tree(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Give an empty directory that replaces `target` if the body succeeds; `private` is for its owner only.

    Raises:
        FileError: as for `scratch_beside`; `target` is unchanged.
    """
    with scratch_beside(target) as beside:
        new, old = beside / "new", beside / "old"
        new.mkdir(mode=PRIVATE_DIRECTORY if private else 0o777)
        yield new
        if private:
            make_private(new)
        with ExitStack() as undo:
            if target.is_dir():
                target.rename(old)
                undo.callback(old.rename, target)
            new.rename(target)
            undo.pop_all()


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Give a private directory on the file system of `target`, and remove it at the end.

    Raises:
        FileError: it can't be written, or the body raised OSError.
    """
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}.", suffix=_PARTIAL, ignore_cleanup_errors=True
        ) as name:
            yield Path(name)


@contextmanager
def hold_lock(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the lock file `path` for the time of the `with`; it and its missing directories are made private.

    Raises:
        FileError: it can't be made or opened.
        LockHeld: another process still held it after `wait_s` seconds.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415  # most commands need no lock

    lock = FileLock(path, timeout=wait_s, mode=PRIVATE)
    try:
        make_missing(path.parent)
        lock.acquire()
    except Timeout as error:
        raise LockHeld(f"{path} is held by another process, for more than {wait_s:g} s") from error
    except OSError as error:
        raise FileError(f"lock {path} can't be opened: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def open_owned_directory(root: Path, *, prefix: str = "") -> Iterator[Path]:
    """Give a new private directory in `root` and remove it at the end; those of dead processes go first.

    Its name begins with `prefix`. Raises FileError if it can't be made.
    """
    root = make_private_directory(root)
    collect_ownerless(root, prefix=prefix)
    path = root / f"{prefix}{os.getpid()}-{secrets.token_hex(4)}"
    # The lock exists before the directory: anyone who sees the directory can tell if its owner is alive.
    with hold_lock(_lock_of(path), wait_s=0):
        try:
            yield make_private_directory(path)
        finally:
            _remove_owned(path)


def collect_ownerless(root: Path, *, prefix: str = "", dry_run: bool = False) -> tuple[Path, ...]:
    """Remove the directories of `open_owned_directory` whose processes are dead, and return them."""
    gone: list[Path] = []
    for path in sorted(root.glob(f"{prefix}*")):
        if path.is_dir():
            with suppress(LockHeld), hold_lock(_lock_of(path), wait_s=0):
                gone.append(path)
                if not dry_run:
                    _remove_owned(path)
    return tuple(gone)


def _lock_of(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


def _remove_owned(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    _lock_of(directory).unlink(missing_ok=True)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise FileError(f"{target} can't be written: {reason}") from error
