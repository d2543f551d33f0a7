"""Every directory that ttylab chooses itself, and the environment variable that moves it.

| variable | content | without it |
|---|---|---|
| TTYLAB_CACHE | what is kept for later: images/ (with the SAC guest's sac/), own/, surveys/, states/, windows/, probe/, node/, templates/ | ~/.cache/ttylab (XDG_CACHE_HOME) |
| TTYLAB_STATE | what one command leaves for another: machines/, serve/, ports/, runs.jsonl | $XDG_RUNTIME_DIR/ttylab, else ~/.local/state/ttylab (XDG_STATE_HOME) |
| TTYLAB_STATE | ca/, the authority that clients of `serve` trust, for longer than one boot | ~/.local/share/ttylab (XDG_DATA_HOME) |
| XDG_RUNTIME_DIR, else TMPDIR | sockets and links of running machines | /tmp |
| TMPDIR | what a machine writes to a disk that it shares, and scratch files | /var/tmp for QEMU, /tmp |

Evidence goes to RESULTS in the working directory or to `--run-dir`; a cloud's records go to `--state`.
"""  # noqa: E501  # a table has no shorter lines

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal

CACHE_VARIABLE = "TTYLAB_CACHE"
STATE_VARIABLE = "TTYLAB_STATE"
RESULTS = Path("results")


def cache() -> Path:
    """Return the directory of all that is kept for later."""
    return _chosen(CACHE_VARIABLE) or _users("cache")


def images() -> Path:
    """Return where images are built."""
    return cache() / "images"


def sac_guest() -> Path:
    """Return where the SAC guest's boot files are."""
    return images() / "sac"


def snapshots() -> Path:
    """Return where the snapshots are."""
    return cache() / "states"


def windows() -> Path:
    """Return where Windows images are registered: the user's, and those that ttylab installed."""
    return cache() / "windows"


def surveys() -> Path:
    """Return where it is kept what users' guests can do."""
    return cache() / "surveys"


def own_files() -> Path:
    """Return where what is made of users' own kernels and disks is kept."""
    return cache() / "own"


def probe_verdicts() -> Path:
    """Return where the probe's verdicts on KVM are kept."""
    return cache() / "probe"


def node_packages() -> Path:
    """Return where packages from npm are installed."""
    return cache() / "node"


def templates() -> Path:
    """Return where the report's compiled templates are kept."""
    return cache() / "templates"


def machines() -> Path:
    """Return where the ledger of running machines is."""
    return _state() / "machines"


def served_guests() -> Path:
    """Return where the guests of running services keep their files."""
    return _state() / "serve"


def authority() -> Path:
    """Return where the authority of services without their own state directory is."""
    return (_chosen(STATE_VARIABLE) or _users("data")) / "ca"


def socket_bases() -> tuple[Path, ...]:
    """Return where the directory of a machine's sockets may be made, the best place first."""
    found = (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp")  # noqa: S108  # 0700, O_EXCL
    return tuple(Path(base) for base in found if base)


def ports() -> Path:
    """Return where it is noted who uses a serial port."""
    return _state() / "ports"


def latest_runs() -> Path:
    """Return the file that names the latest runs and where they were started."""
    return _state() / "runs.jsonl"


def _state() -> Path:
    """Return the place for what must not outlive the host's boot by much."""
    if chosen := _chosen(STATE_VARIABLE):
        return chosen
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "ttylab"
    return _users("state")


def _chosen(variable: str) -> Path | None:
    path = os.environ.get(variable)
    return Path(path).absolute() if path else None


def _users(kind: Literal["cache", "state", "data"]) -> Path:
    from platformdirs import PlatformDirs  # noqa: PLC0415  # commands that need none start faster

    user = PlatformDirs("ttylab", appauthor=False)
    return {"cache": user.user_cache_path, "state": user.user_state_path, "data": user.user_data_path}[kind]
