"""What a snapshot is, as a value and as its file; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from emulator.errors import SnapshotError, SpecError
from emulator.values import dump_json, load_json

FORMAT = 1
"""Version of everything that decides what a snapshot holds; a snapshot of another version is never used."""


class Method(StrEnum):
    """How RAM is kept."""

    SHARED_RAM = "shared-ram"  # in a file of its own that forks map privately (x-ignore-shared)
    STREAM = "stream"  # inside QEMU's snapshot file, read by each fork


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file of a snapshot: its length in bytes, and the hash of its content."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotManifest:
    """What was saved, of what.

    Attributes:
        format: `FORMAT` of the ttylab that saved it.
        key: the snapshot's fingerprint, which is its name in the cache.
        label: whose guest, for people ("bookworm").
        stage: how far it had come ("shell").
        method: how RAM is kept.
        qemu: QEMU's version.
        accelerator: who executed guest code.
        tsc_khz: what the guest was told of the host's TSC; None if nothing.
        made_utc: ISO 8601, when it was saved; the clock of each fork goes on from there.
        boot_s: seconds that the boot took up to there.
        files: the snapshot's files by name.
    """

    format: int = FORMAT
    key: str
    label: str
    stage: str
    method: Method
    qemu: str
    accelerator: str
    tsc_khz: int | None
    made_utc: str
    boot_s: float
    files: Mapping[str, FileFacts]

    def to_json(self) -> str:
        """Return the manifest's file."""
        return dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: bytes, *, origin: str) -> SnapshotManifest:
        """Return the manifest that `to_json` wrote.

        Raises:
            SnapshotError: it is none, or of another format.
        """
        try:
            manifest = load_json(text, cls, origin=f"{origin}: no manifest of a snapshot")
        except SpecError as error:
            raise SnapshotError(str(error).splitlines()[0]) from None
        if manifest.format != FORMAT:
            raise SnapshotError(f"{origin}: format {manifest.format}; this ttylab reads {FORMAT}")
        return manifest
