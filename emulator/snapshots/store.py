"""The cache of snapshots: each is made once, under a lock, and checked before it is used."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from emulator.clock import Deadline, utc_now
from emulator.errors import FileError, SnapshotError
from emulator.files import staged_tree
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
        size: bytes on disk, not counting holes.
        unused_s: seconds since it was made or last forked.
    """

    directory: Path
    manifest: SnapshotManifest | None
    size: int
    unused_s: float


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
    paths = [snapshot.directory for snapshot in snapshots]
    with suppress(OSError):
        paths += [path for path in root.iterdir() if path.name.startswith(".") and path.is_dir()]
    return tuple(path for path in paths if _remove(root, path))


def _remove(root: Path, path: Path) -> bool:
    key = path.name.lstrip(".").partition(".")[0]
    try:
        with FileLock(root / f"{key}.lock", timeout=0):
            shutil.rmtree(path)
    except Timeout:
        return False  # it is being made
    except OSError:
        return not path.exists()
    return True


def _look(directory: Path) -> CachedSnapshot:
    manifest = None
    with suppress(SnapshotError):
        manifest = read_manifest(directory)
    return CachedSnapshot(
        directory=directory,
        manifest=manifest,
        size=_bytes_of(directory),
        unused_s=max(0.0, utc_now().timestamp() - _last_used(directory)),
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

        If another process is making it, this call waits for that.

        Args:
            request: the snapshot.
            choice: what executes guest code.
            reach: brings a machine that was just powered on to the stage.
            deadline: when to give up waiting and making.

        Raises:
            SnapshotError: it can't be made; the text says why.
            MissingPrerequisite: something it needs is not installed.
            EmulatorError: what `reach` raises.
        """
        maker, key = make_maker(request, self.qemu, choice)
        if found := self._find(key, request):
            return found
        with self._locked(key, deadline):
            if found := self._find(key, request):
                return found
            self._clear(key)
            making = Making(request=request, key=key, maker=maker, qemu=self.qemu, choice=choice)
            try:
                with staged_tree(self.root / key, private=True) as new:
                    make_snapshot(making, new, reach, deadline)
            except FileError as error:
                raise SnapshotError(f"snapshot {key}: {error}") from error
            snapshot = self._opened(key, request)
        remove_snapshots(self.root, surplus(list_snapshots(self.root)))
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
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(self.root / f"{key}.lock", timeout=deadline.remaining()):
                yield
        except Timeout as error:
            raise SnapshotError(
                f"snapshot {key}: another process is making it, and was not ready in time"
            ) from error

    def _clear(self, key: str) -> None:
        """Remove a damaged snapshot, and what killed processes left of it; the key's lock must be held."""
        shutil.rmtree(self.root / key, ignore_errors=True)
        for left in self.root.glob(f".{key}.*"):
            shutil.rmtree(left, ignore_errors=True)
