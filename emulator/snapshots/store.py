"""The cache of snapshots: each is made once, under a lock, and checked before it is used."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from emulator.clock import Deadline, utc_now
from emulator.errors import DeadlineExceeded, FileError, LockHeld, SnapshotError
from emulator.files import hold_lock, staged_tree
from emulator.machine.machine import Machine
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import QemuBinary
from emulator.snapshots.making import Making, make_maker, make_snapshot
from emulator.snapshots.manifest import SnapshotManifest, SnapshotRequest
from emulator.snapshots.snapshot import MANIFEST, USED, Snapshot, read_manifest

DAY_S = 86400.0
KEEP_AGE_S = 14 * DAY_S
KEEP_BYTES = 10 * 2**30
"""The default matrix takes 5.4 GB."""
IN_USE_S = 600.0
"""A snapshot that was forked this recently is kept: somebody may be about to map its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedSnapshot:
    """One snapshot in the cache.

    Attributes:
        directory: where it is.
        manifest: what it is; None if that can't be read.
        problem: why it can't be read, with its path; empty if it can.
        size: bytes on disk, not counting holes.
        unused_s: seconds since it was made or last forked.
    """

    directory: Path
    manifest: SnapshotManifest | None
    size: int
    unused_s: float
    problem: str = ""


def list_snapshots(root: Path) -> tuple[CachedSnapshot, ...]:
    """Return the snapshots in the cache, the last used first, without unfinished ones."""
    if not root.is_dir():
        return ()
    found = (_look(path) for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return tuple(sorted(found, key=lambda one: (one.unused_s, one.directory)))


def surplus(
    snapshots: Iterable[CachedSnapshot], *, max_age_s: float = KEEP_AGE_S, max_bytes: int = KEEP_BYTES
) -> tuple[CachedSnapshot, ...]:
    """Return which snapshots are too old, unreadable, or more than fit, but none that is in use; pure."""
    gone, kept_bytes = [], 0
    for snapshot in sorted(snapshots, key=lambda one: one.unused_s):
        kept_bytes += snapshot.size
        if snapshot.unused_s < min(IN_USE_S, max_age_s):
            continue
        if snapshot.manifest is None or snapshot.unused_s >= max_age_s or kept_bytes > max_bytes:
            kept_bytes -= snapshot.size
            gone.append(snapshot)
    return tuple(gone)


def remove_snapshots(root: Path, snapshots: Iterable[CachedSnapshot]) -> tuple[Path, ...]:
    """Remove snapshots, and what was left by processes killed while making one; return what was removed.

    A snapshot that is just being made stays. Running machines keep what they have mapped.
    """
    gone = tuple(snapshot.directory for snapshot in snapshots if _remove(root, snapshot.directory))
    return (*gone, *collect_leftovers(root))


def collect_leftovers(root: Path, *, dry_run: bool = False) -> tuple[Path, ...]:
    """Remove what killed processes left of snapshots that they were making, and return it."""
    with suppress(OSError):
        left = [path for path in sorted(root.iterdir()) if path.name.startswith(".") and path.is_dir()]
        return tuple(path for path in left if _remove(root, path, dry_run=dry_run))
    return ()


def _remove(root: Path, path: Path, *, dry_run: bool = False) -> bool:
    key = path.name.lstrip(".").partition(".")[0]
    try:
        with hold_lock(root / f"{key}.lock", wait_s=0):
            if not dry_run:
                shutil.rmtree(path)
    except (LockHeld, FileError):
        return False  # it is being made, or the cache can't be written
    except OSError:
        return not path.exists()
    return True


def _look(directory: Path) -> CachedSnapshot:
    manifest, problem = None, ""
    try:
        manifest = read_manifest(directory)
    except SnapshotError as error:
        problem = str(error)
    return CachedSnapshot(
        directory=directory,
        manifest=manifest,
        size=_bytes_of(directory),
        unused_s=max(0.0, utc_now().timestamp() - _last_used(directory)),
        problem=problem,
    )


def _last_used(directory: Path) -> float:
    for name in (USED, MANIFEST, "."):
        with suppress(OSError):
            return (directory / name).stat().st_mtime
    return utc_now().timestamp()


def _bytes_of(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


@dataclass
class SnapshotStore:
    """A directory of snapshots; any number of processes and threads may use it at once.

    Attributes:
        root: the directory.
        qemu: the program that makes and loads snapshots.
        refused: why snapshots that were found had to be made again, by key; for reports.
    """

    root: Path
    qemu: QemuBinary
    refused: dict[str, str] = field(default_factory=dict)
    _open: dict[str, Snapshot] = field(default_factory=dict)

    def ensure(
        self,
        request: SnapshotRequest,
        choice: Choice,
        reach: Callable[[Machine, Deadline], None],
        deadline: Deadline,
    ) -> Snapshot:
        """Return the snapshot of `request`; it is made first if it is missing or damaged.

        If another process is making it, this call waits for that. `reach` brings a machine that was just
        powered on to the stage.

        Raises:
            SnapshotError: it can't be made; the text says why.
            MissingPrerequisite: something it needs is not installed.
            EmulatorError: what `reach` raises.
        """
        maker, key = make_maker(request, self.qemu, choice)
        making = Making(request=request, key=key, maker=maker, qemu=self.qemu, choice=choice)
        try:
            if found := self._find(key, request):
                return found
            with self._locked(key, deadline):
                if found := self._find(key, request):
                    return found
                self._clear(key)
                with staged_tree(self.root / key, private=True) as new:
                    make_snapshot(making, new, reach, deadline)
                snapshot = self._opened(key, request)
            with suppress(OSError):
                remove_snapshots(self.root, surplus(list_snapshots(self.root)))
        except (FileError, DeadlineExceeded) as error:
            raise SnapshotError(f"snapshot {key}: {error}") from error
        except OSError as error:  # a cache of another user's, a disk that fails
            raise SnapshotError(f"snapshot {key}: {error.filename or self.root}: {error.strerror}") from error
        return snapshot

    def _find(self, key: str, request: SnapshotRequest) -> Snapshot | None:
        known = self._open.get(key)
        if known is not None and known.is_intact():
            return known
        self._open.pop(key, None)
        if not (self.root / key / MANIFEST).is_file():
            return None
        try:
            return self._opened(key, request)
        except SnapshotError as error:
            self.refused[key] = str(error)
            return None

    def _opened(self, key: str, request: SnapshotRequest) -> Snapshot:
        snapshot = Snapshot.open(self.root / key, request)
        self._open[key] = snapshot
        return snapshot

    @contextmanager
    def _locked(self, key: str, deadline: Deadline) -> Iterator[None]:
        try:
            with hold_lock(self.root / f"{key}.lock", wait_s=deadline.remaining()):
                yield
        except LockHeld as error:
            raise SnapshotError(
                f"snapshot {key}: another process is making it, and was not ready in time"
            ) from error

    def _clear(self, key: str) -> None:
        """Remove a damaged snapshot, and what killed processes left of it; the key's lock must be held."""
        shutil.rmtree(self.root / key, ignore_errors=True)
        for left in self.root.glob(f".{key}.*"):
            shutil.rmtree(left, ignore_errors=True)
