"""Hashes of users' files, remembered while a file is untouched, and what is made of users' files once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from emulator import places
from emulator.errors import FileError, SpecError
from emulator.files import hold_lock, identity, read_whole, write_whole
from emulator.guest_images.own_room import mark_used
from emulator.images.image import hash_file
from emulator.values import parse_json

_RECORD_MOST = 4096
_TURN_S = 900.0  # how long another worker may take to hash the same file


def hash_once(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; read only if it was never hashed as it is now.

    What tells that it is untouched is its inode, its size, and its times of change, as for `is_sealed`.

    Raises:
        OSError: it can't be read.
        SpecError: it changes while it is read.
        FileError: the record's directory can't be made, or another process takes too long.
    """
    key = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    record = places.own_files() / "hashes" / f"{key}.json"
    if known := _remembered(record, identity(path)):
        return known
    with hold_lock(record.with_suffix(".lock"), wait_s=_TURN_S):
        before = identity(path)
        if known := _remembered(record, before):
            return known
        digest = hash_file(path)
        if identity(path) != before:
            raise SpecError(f"{path} is being written; a machine's own disk can't be used by another")
        write_whole(record, json.dumps({"facts": before, "sha256": digest}).encode(), private=True)
    return digest


def keep_file(digest: str, name: str, make: Callable[[], bytes]) -> Path:
    """Return the file `name` that `make` makes of what has this digest, once; raises FileError."""
    target = places.own_files() / digest[:16] / name
    if not target.is_file():
        write_whole(target, make(), private=True, parents=True)
    mark_used(target)
    return target


def _remembered(record: Path, facts: tuple[int, ...]) -> str:
    """Return the hash on record; empty if there is none, or it is of other content."""
    try:
        said = parse_json(read_whole(record, most=_RECORD_MOST), origin=str(record))
        return str(said["sha256"]) if said["facts"] == list(facts) else ""
    except (OSError, SpecError, FileError, KeyError, TypeError):
        return ""
