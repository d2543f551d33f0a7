"""A Debian package as a value, and how a build tells what it is doing. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
