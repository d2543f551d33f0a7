"""Where a machine keeps its files: the run directory is evidence and stays, the temp directory goes.

Sockets and links live in the temp directory, since a unix socket's path holds 107 bytes at the most
(unix(7), sun_path) and a run directory may lie deep in a checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from emulator.errors import LabError

ARGV_FILE = "argv.json"
STDERR_FILE = "qemu.stderr"
BULK_DIRECTORY = "bulk"
FIRMWARE_FILE = "firmware.log"
"""What SeaBIOS says of a machine for Windows beside its screen."""
COM2_FILE = "com2.log"
"""What a machine for Windows wrote to COM2, in all power cycles."""
TEMP_PREFIX = "ttylab-"
SOCKET_PATH_MAX = 107
_LONGEST_NAME = "/console.sock.partial"


def prepare_run_dir(run_dir: Path) -> Path:
    """Make `run_dir` with mode 0700, or take it over if it exists; return its absolute path.

    Raises:
        LabError: it can't be made or is not ours to change.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        run_dir.chmod(0o700)
    except OSError as error:
        raise LabError(f"run directory {run_dir}: {error.strerror}") from error
    return run_dir.resolve()


def temp_dir_path(machine_id: str) -> Path:
    """Return where the temp directory of a machine belongs; it is named before it is made.

    The ledger has to know the path before anything exists that could be left behind.
    """
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108  # 0700, O_EXCL
        path = Path(base or "/nonexistent") / f"{TEMP_PREFIX}{machine_id}"
        short = len(os.fsencode(path)) + len(_LONGEST_NAME) <= SOCKET_PATH_MAX
        if short and path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK):
            return path
    raise LabError("no directory for sockets: XDG_RUNTIME_DIR, TMPDIR and /tmp are unusable or too long")


def make_temp_dir(path: Path) -> None:
    """Make the temp directory, mode 0700; whatever has that name already is refused.

    Raises:
        LabError: it can't be made.
    """
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise LabError(f"temp directory {path}: {error.strerror}") from error


def remove_temp_dir(path: Path) -> bool:
    """Remove a temp directory of ours and all in it; return False if there was none.

    Raises:
        LabError: the path is none of ours, or can't be removed.
    """
    try:
        owner = path.lstat().st_uid
    except OSError:
        return False
    if not path.name.startswith(TEMP_PREFIX) or path.is_symlink() or owner != os.getuid():
        raise LabError(f"{path} is not a temp directory of ttylab; it is left alone")
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LabError(f"temp directory {path} can't be removed: {error.strerror}") from error
    return True


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write `value` as JSON, mode 0600, in one step: readers see the old file or the new one.

    Raises:
        LabError: it can't be written; the old file is unchanged.
    """
    # Two threads may write the same file: a machine that starts, and its QEMU that has just ended.
    partial = path.with_name(f".{path.name}.{threading.get_ident()}.{os.getpid()}.partial")
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise LabError(f"{path} can't be written: {error.strerror}") from error
