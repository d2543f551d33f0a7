"""Which snapshot is wanted, its fingerprint, and the manifest that describes it once it is made; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from emulator.errors import SnapshotError, SpecError
from emulator.machine.argv import FirmwareFiles, QemuVersion, RamFile, Wiring, build_argv
from emulator.machine.spec import MachineSpec
from emulator.values import dump_json, load_json

FORMAT = 1
"""Version of everything that decides a snapshot's content; a snapshot of another version is never used."""


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
    """What was saved.

    Attributes:
        format: `FORMAT` of the ttylab that saved it.
        key: the snapshot's fingerprint, which is its name in the cache.
        label: the guest's name for people ("bookworm").
        stage: how far the guest had come ("shell").
        method: how RAM is kept.
        qemu: QEMU's version.
        accelerator: what executed guest code.
        tsc_khz: the frequency of the host's TSC that the guest was told; None if it was told none.
        made_utc: when it was saved, ISO 8601; the clock of each fork continues from there.
        boot_s: seconds that the boot took up to this stage.
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
        """Return the content of the manifest's file."""
        return dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: bytes, *, origin: str) -> SnapshotManifest:
        """Return the manifest that `to_json` wrote; raises SnapshotError for anything else."""
        try:
            manifest = load_json(text, cls, origin=f"{origin}: not a manifest of a snapshot")
        except SpecError as error:
            raise SnapshotError(str(error).splitlines()[0]) from None
        if manifest.format != FORMAT:
            raise SnapshotError(f"{origin}: format {manifest.format}; this ttylab reads {FORMAT}")
        return manifest


_PLACE = Path("/state")
_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """A guest at a stage of its boot.

    Attributes:
        spec: its machine.
        stage: how far it is to come ("shell").
        label: the guest's name for people.
        host_reads_disks: whether each fork has its own copies of the disks, which the host can read.
        account: tells apart who is logged in; empty where only one account is ever used.
    """

    spec: MachineSpec
    stage: str
    label: str
    host_reads_disks: bool = False
    account: str = ""

    @property
    def common_spec(self) -> MachineSpec:
        """The machine without what may differ between forks of a snapshot: its name and its seed."""
        return replace(self.spec, name="state", seed=_SEED)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the machine is made from."""
        given = (self.spec.kernel, self.spec.initrd, *(disk.path for disk in self.spec.disks))
        return tuple(path for path in given if path is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """What makes a snapshot, apart from its request, and so decides its content too.

    Attributes:
        qemu_sha256: hash of the program.
        version: its version.
        accelerator: "tcg" or "kvm".
        cpu: what distinguishes this host's CPU if the guest sees it; empty under TCG.
        method: how RAM is kept.
        firmware: OVMF's files if the machine has OVMF.
    """

    qemu_sha256: str
    version: QemuVersion
    accelerator: str
    cpu: str
    method: Method
    firmware: FirmwareFiles | None


def fingerprint(request: SnapshotRequest, maker: Maker, hashes: Mapping[Path, str]) -> str:
    """Return the snapshot's name: 32 hex digits that differ whenever its guest might.

    `hashes` has every file of the request and of the firmware.
    """
    spec = request.common_spec
    wiring = Wiring(
        console_path=_PLACE / "console",
        qmp_fd=0,
        bulk_fd=1 if spec.bulk_console else None,
        vars_file=None if maker.firmware is None else _PLACE / "vars",
        ram=RamFile(path=_PLACE / "ram", shared=True),
    )
    argv = build_argv(
        spec,
        qemu="qemu",
        accelerator="kvm" if maker.accelerator == "kvm" else "tcg",
        wiring=wiring,
        version=maker.version,
        firmware=maker.firmware,
    )
    facts = {
        "format": FORMAT,
        "typed": "passwords marked",  # in the transcript, which a fork goes on with
        "argv": argv,
        "files": sorted((str(path), digest) for path, digest in hashes.items()),
        "qemu": maker.qemu_sha256,
        "cpu": maker.cpu,
        "method": maker.method,
        "stage": request.stage,
        "host_reads_disks": request.host_reads_disks,
        **({"account": request.account} if request.account else {}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
