"""Where a machine keeps its files: the run directory is evidence and stays, the temp directory goes.

Sockets and links live in the temp directory, since a unix socket's path has at most 107 bytes (unix(7),
sun_path) and a run directory may lie deep in a checkout.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from emulator.errors import LabError
from emulator.places import socket_bases

ARGV_FILE = "argv.json"
STDERR_FILE = "qemu.stderr"
BULK_DIRECTORY = "bulk"
FIRMWARE_FILE = "firmware.log"
"""SeaBIOS' messages that are not on the screen, from a machine for Windows."""
COM2_FILE = "com2.log"
"""All that a machine for Windows wrote to COM2."""
TEMP_PREFIX = "ttylab-"
SOCKET_PATH_MAX = 107
_LONGEST_NAME = "/console.sock.partial"


def temp_dir_path(machine_id: str) -> Path:
    """Return where the temp directory of a machine belongs.

    It is named before it is made: the ledger has to know it before anything can be left behind.

    Raises:
        LabError: no directory is usable.
    """
    for base in socket_bases():
        path = base / f"{TEMP_PREFIX}{machine_id}"
        short = len(os.fsencode(path)) + len(_LONGEST_NAME) <= SOCKET_PATH_MAX
        if short and base.is_dir() and os.access(base, os.W_OK | os.X_OK):
            return path
    raise LabError("no directory for sockets: XDG_RUNTIME_DIR, TMPDIR and /tmp are unusable or too long")


def make_temp_dir(path: Path) -> None:
    """Make the temp directory, mode 0700; raises LabError if it can't be made or is there already."""
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise LabError(f"temp directory {path}: {error.strerror}") from error


def remove_temp_dir(path: Path) -> None:
    """Remove one of our temp directories with all in it; raises LabError if it is not ours or can't go."""
    try:
        owner = path.lstat().st_uid
    except OSError:
        return
    if not path.name.startswith(TEMP_PREFIX) or path.is_symlink() or owner != os.getuid():
        raise LabError(f"{path} is not a temp directory of ttylab; it is left alone")
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LabError(f"temp directory {path} can't be removed: {error.strerror}") from error
