"""A Debian package as a value, and how a build tells what it is doing. Pure."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from emulator.errors import ImageError, MissingPrerequisite

Progress = Callable[[str, float], None]
"""Hears the stage, and the fraction of the whole that is done, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Debian package.

    Attributes:
        name: its name.
        version: its Debian version.
        sha256: of the .deb.
        architecture: "amd64" or "all".
    """

    name: str
    version: str
    sha256: str
    architecture: str = "amd64"

    @property
    def file_name(self) -> str:
        """Return the name that apt gives to the .deb."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


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
