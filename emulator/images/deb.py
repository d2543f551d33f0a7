"""Reads files out of .deb packages without unpacking them to disk and without being root."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from emulator.errors import ImageError, MissingPrerequisite


def read_files(deb: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the content of the regular files whose path (without "./") is `wanted`.

    Raises:
        MissingPrerequisite: dpkg-deb is not there.
        ImageError: the package is damaged.
    """
    argv = ("dpkg-deb", "--fsys-tarfile", str(deb))
    try:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise MissingPrerequisite("dpkg-deb", remedy="apt-get install dpkg") from error
    with process:
        try:
            files = _read_stream(process.stdout, wanted)
        except (tarfile.TarError, EOFError) as error:
            process.kill()
            raise ImageError(f"{deb.name}: damaged package: {error}") from error
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise ImageError(f"{deb.name}: damaged package: dpkg-deb ended with {process.returncode}")
    return files


def _read_stream(stream: IO[bytes] | None, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            content = archive.extractfile(member) if member.isfile() and wanted(path) else None
            if content is not None:
                files[path] = content.read()
            archive.members = []  # type: ignore[attr-defined]  # a stream can't go back: keep memory flat
    return files
