"""Tells whether a built image still is what was built: a cheap stamp on every open, hashes when in doubt."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from emulator.errors import ImageError
from emulator.images.image import DISK, FILES, Manifest


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a built image.

    Raises:
        ImageError: there is none, or it is damaged.
    """
    path = directory / "manifest.json"
    try:
        return Manifest.from_json(path.read_text(encoding="utf-8"), origin=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path}: can't be read: {error}") from error


def find_wrong_files(manifest: Manifest, directory: Path) -> list[str]:
    """Return a line for each file that is missing or has another hash; reads every byte."""
    problems: list[str] = []
    for name in manifest.files:
        path, built = directory / name, manifest.sha256.get(name, "no hash")
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif (found := hash_file(path)) != built:
            problems.append(f"{path} has sha256 {found[:16]}, built with {built[:16]}")
    return problems


def is_sealed(directory: Path) -> bool:
    """Tell whether nobody has written to the files since `seal`; reads no content.

    A copied or restored directory is not sealed, though it may be right: hash it then, and seal it.
    """
    try:
        return bool(json.loads((directory / "seal.json").read_text(encoding="utf-8")) == _facts(directory))
    except (OSError, ValueError):
        return False


def seal(directory: Path) -> None:
    """Note sizes and change times of the files, which have just been written or hashed."""
    temporary = directory / f"seal.json.{os.getpid()}"
    temporary.write_text(json.dumps(_facts(directory)), encoding="utf-8")
    temporary.replace(directory / "seal.json")


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _facts(directory: Path) -> dict[str, list[int]]:
    facts: dict[str, list[int]] = {}
    disk = (DISK,) if (directory / DISK).exists() else ()
    for name in (*FILES, *disk, "manifest.json"):
        status = (directory / name).stat()
        facts[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return facts
