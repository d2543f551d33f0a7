"""What the cache of states holds, and what of it can go: by age, by size, and what nobody can use."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from emulator.clock import utc_now
from emulator.errors import SavedStateError
from emulator.states.manifest import StateManifest
from emulator.states.state import MANIFEST, USED, read_manifest

DAY_S = 86400.0
KEEP_AGE_S = 14 * DAY_S
KEEP_BYTES = 10 * 2**30
"""The default matrix takes 5.4 GB."""
IN_USE_S = 600.0
"""A state that was gone on from so recently stays: somebody may be about to map its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedState:
    """One state in the cache.

    Attributes:
        directory: where it is.
        manifest: what it is; None if that can't be read.
        size: bytes on the disk, holes not counted.
        unused_s: seconds since it was made or last gone on from.
    """

    directory: Path
    manifest: StateManifest | None
    size: int
    unused_s: float


def list_states(root: Path) -> tuple[CachedState, ...]:
    """Return the states in the cache, the latest used first; half-made ones are not among them."""
    if not root.is_dir():
        return ()
    found = (_look(path) for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return tuple(sorted(found, key=lambda one: (one.unused_s, one.directory)))


def surplus(
    states: Iterable[CachedState], *, max_age_s: float = KEEP_AGE_S, max_bytes: int = KEEP_BYTES
) -> tuple[CachedState, ...]:
    """Return what is too old, unreadable, or more than fits; what is in use never is; pure."""
    gone, kept_bytes = [], 0
    for state in sorted(states, key=lambda one: one.unused_s):
        kept_bytes += state.size
        if state.unused_s < min(IN_USE_S, max_age_s):
            continue
        if state.manifest is None or state.unused_s >= max_age_s or kept_bytes > max_bytes:
            kept_bytes -= state.size
            gone.append(state)
    return tuple(gone)


def remove_states(root: Path, states: Iterable[CachedState]) -> tuple[Path, ...]:
    """Remove states, and what killed makers left; return what went.

    What somebody makes at this moment stays. Machines that run keep what they have mapped.
    """
    paths = [state.directory for state in states]
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


def _look(directory: Path) -> CachedState:
    manifest = None
    with suppress(SavedStateError):
        manifest = read_manifest(directory)
    return CachedState(
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
