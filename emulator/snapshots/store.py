"""The cache of snapshots: each is made once, under a lock, and checked before it is used."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emulator import places
from emulator.clock import Deadline, utc_now
from emulator.errors import DeadlineExceeded, FileError, LockHeld, SnapshotError
from emulator.files import hold_lock, staged_tree
from emulator.machine.machine import Machine
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import QemuBinary
from emulator.snapshots.making import Making, make_maker, make_snapshot
from emulator.snapshots.manifest import SnapshotManifest, SnapshotRequest
from emulator.snapshots.pages import PAGES_FILE, base_of
from emulator.snapshots.room import KEEP_AGE_S, RAM_FILE, USED, disk_bytes, drop_unpacked, unpacked_bytes
from emulator.snapshots.snapshot import MANIFEST, Snapshot, read_manifest

CACHE_BYTES = 2 * 10**9
"""Bytes for images, packages, what is made of users' own files, and snapshots, which get what those leave."""
KEEP_BYTES = 5 * 2**27
"""Bytes that snapshots may always take: those of the default matrix, packed, are some 0.5 GB."""
_OPEN_MOST = 8  # how many snapshots a store keeps open, and so unpacked
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
        unpacked: how many of the bytes are RAM that is there in a packed file as well.
        base: the name of the snapshot that its packed RAM rests on; empty if it rests on none.
    """

    directory: Path
    manifest: SnapshotManifest | None
    size: int
    unused_s: float
    problem: str = ""
    unpacked: int = 0
    base: str = ""


def list_snapshots(root: Path) -> tuple[CachedSnapshot, ...]:
    """Return the snapshots in the cache, the last used first, without unfinished ones."""
    if not root.is_dir():
        return ()
    found = (_look(path) for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return tuple(sorted(found, key=lambda one: (one.unused_s, one.directory)))


def surplus(
    snapshots: Iterable[CachedSnapshot], *, max_age_s: float = KEEP_AGE_S, max_bytes: int = CACHE_BYTES
) -> tuple[CachedSnapshot, ...]:
    """Return which snapshots are too old, unreadable, or more than fit, but none that is in use; pure.

    RAM that is unpacked does not count; with a base go those that rest on it.
    """
    gone: dict[str, CachedSnapshot] = {}
    kept_bytes = 0
    for unused_s, snapshot in _by_age(tuple(snapshots)):
        packed = snapshot.size - snapshot.unpacked
        kept_bytes += packed
        if unused_s < min(IN_USE_S, max_age_s):
            continue
        bad = snapshot.manifest is None or snapshot.base in gone
        if bad or unused_s >= max_age_s or kept_bytes > max_bytes:
            kept_bytes -= packed
            gone[snapshot.directory.name] = snapshot
    return tuple(gone.values())


def _by_age(snapshots: tuple[CachedSnapshot, ...]) -> list[tuple[float, CachedSnapshot]]:
    """Return the last used first, each base before what rests on it: its use is theirs."""
    unused = {one.directory.name: one.unused_s for one in snapshots}
    for one in snapshots:
        if one.base in unused:
            unused[one.base] = min(unused[one.base], one.unused_s)
    aged = [(unused[one.directory.name], one) for one in snapshots]
    return sorted(aged, key=lambda pair: (pair[0], bool(pair[1].base), pair[1].directory))


def snapshots_budget() -> int:
    """Return how many bytes the snapshots may take beside all else that is in the cache."""
    others = (places.images(), places.node_packages(), places.own_files())
    return max(KEEP_BYTES, CACHE_BYTES - sum(disk_bytes(path) for path in others))


def tidy(root: Path, *, max_bytes: int | None = None, dry_run: bool = False) -> tuple[Path, ...]:
    """Keep the snapshots within `max_bytes`, by default their budget; return what went, or would go.

    What is surplus is removed, then the unpacked RAM of the least used. What is in use stays.
    """
    max_bytes = snapshots_budget() if max_bytes is None else max_bytes
    if disk_bytes(root) <= max_bytes:
        return ()
    snapshots = list_snapshots(root)
    gone = surplus(snapshots, max_bytes=max_bytes)
    removed = [one.directory for one in gone] if dry_run else [*remove_snapshots(root, gone)]
    left = [one for one in snapshots if one.directory not in removed]
    excess = sum(one.size for one in left) - max_bytes
    for one in reversed(left):
        if excess > 0 and one.unpacked and drop_unpacked(one.directory, dry_run=dry_run):
            removed.append(one.directory / RAM_FILE)
            excess -= one.unpacked
    return tuple(removed)


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
    manifest, problem, base = None, "", ""
    try:
        manifest = read_manifest(directory)
    except SnapshotError as error:
        problem = str(error)
    with suppress(SnapshotError):
        base = base_of(directory / PAGES_FILE)
    return CachedSnapshot(
        directory=directory,
        manifest=manifest,
        size=disk_bytes(directory),
        unused_s=max(0.0, utc_now().timestamp() - _last_used(directory)),
        problem=problem,
        unpacked=unpacked_bytes(directory),
        base=base,
    )


def _last_used(directory: Path) -> float:
    for name in (USED, MANIFEST, "."):
        with suppress(OSError):
            return (directory / name).stat().st_mtime
    return utc_now().timestamp()


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
        try:
            if found := self._find(key, request):
                return found
            with hold_lock(self.root / f"{key}.lock", wait_s=deadline.remaining()):
                if found := self._find(key, request):
                    return found
                # A damaged one, and what killed processes left of it.
                for left in (self.root / key, *self.root.glob(f".{key}.*")):
                    shutil.rmtree(left, ignore_errors=True)
                base = self._base(request.label)
                making = Making(
                    request=request, key=key, maker=maker, qemu=self.qemu, choice=choice, base=base
                )
                with staged_tree(self.root / key, private=True) as new:
                    make_snapshot(making, new, reach, deadline)
                snapshot = self._opened(key, request)
            with suppress(OSError):
                tidy(self.root)
        except LockHeld as error:
            late = "another process is making it, and was not ready in time"
            raise SnapshotError(f"snapshot {key}: {late}") from error
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
        if len(self._open) > _OPEN_MOST:
            del self._open[next(iter(self._open))]
        return snapshot

    def _base(self, label: str) -> Path | None:
        """Return the packed RAM of the last used snapshot of an image that rests on no other, if any."""
        for one in list_snapshots(self.root):
            packed = one.directory / PAGES_FILE
            if one.manifest is not None and one.manifest.label == label and not one.base and packed.is_file():
                return packed
        return None
