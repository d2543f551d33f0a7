"""The hash of a user's file, counted again only when the file has changed: a disk may have many GB."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from emulator import places
from emulator.errors import FileError
from emulator.files import read_whole, write_whole
from emulator.images.image import hash_file

_DIGEST = 64


def hash_kept(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; raises OSError if it can't be read.

    What is remembered belongs to the path, inode, size and change times, which nobody sets back by accident.
    """
    facts = path.stat()
    identity = (str(path.absolute()), facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    key = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
    kept = places.own_files() / key / "sha256"
    with suppress(OSError, ValueError):
        text = read_whole(kept, most=_DIGEST).decode("ascii")
        if len(text) == _DIGEST:
            return text
    digest = hash_file(path)
    with suppress(FileError):  # then it is counted again
        write_whole(kept, digest.encode(), private=True, parents=True)
    return digest
