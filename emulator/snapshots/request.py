"""Which snapshot is wanted, and its fingerprint; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.machine.argv import FirmwareFiles, QemuVersion, RamFile, Wiring, build_argv
from emulator.machine.spec import MachineSpec
from emulator.snapshots.manifest import FORMAT, Method

_PLACE = Path("/state")
_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """A guest at a stage of its boot.

    Attributes:
        spec: its machine.
        stage: how far it shall have come ("shell").
        label: whose guest, for people.
        host_reads_disks: whether each fork has disks of its own that the host can read, as plain copies.
    """

    spec: MachineSpec
    stage: str
    label: str
    host_reads_disks: bool = False

    @property
    def common_spec(self) -> MachineSpec:
        """The machine without what may differ between forks of one snapshot: its name and its seed."""
        return replace(self.spec, name="state", seed=_SEED)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the machine is made from."""
        given = (self.spec.kernel, self.spec.initrd, *(disk.path for disk in self.spec.disks))
        return tuple(path for path in given if path is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Who makes snapshots: what else decides what a snapshot holds.

    Attributes:
        qemu_sha256: hash of the program.
        version: its version.
        accelerator: "tcg" or "kvm".
        cpu: what tells this host's CPU from others, where the guest sees it; empty under TCG.
        method: how RAM is kept.
        firmware: OVMF's files, if the machine has it.
    """

    qemu_sha256: str
    version: QemuVersion
    accelerator: str
    cpu: str
    method: Method
    firmware: FirmwareFiles | None


def fingerprint(request: SnapshotRequest, maker: Maker, hashes: Mapping[Path, str]) -> str:
    """Return what names the snapshot: 32 hex digits that differ where the guest could.

    Args:
        request: the snapshot.
        maker: who makes it.
        hashes: of every file of the request and of the firmware.
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
        "argv": argv,
        "files": sorted((str(path), digest) for path, digest in hashes.items()),
        "qemu": maker.qemu_sha256,
        "cpu": maker.cpu,
        "method": maker.method,
        "stage": request.stage,
        "host_reads_disks": request.host_reads_disks,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
