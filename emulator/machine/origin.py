"""Where a machine's first power cycle begins when it does not begin with the firmware: a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emulator.console.transcript import Transcript
from emulator.machine.spec import MachineSpec

FORKED = "forked"
"""The mark, instead of "started", where a machine goes on from a snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A snapshot to go on from; the machine's spec must be the one that was saved, but for name and seed.

    Attributes:
        spec: the machine as it was asked for; that of the fork has other disks.
        key: the state's fingerprint.
        stage: how far its guest had come ("shell").
        vm_state: what QEMU wrote of devices and, without `ram`, of RAM.
        ram: the guest's RAM, which is mapped privately and never written.
        vars_file: OVMF's variable store at that moment.
        past: what the console had shown by then; the machine's transcript begins with it.
        shared: what the fork has in common with every other fork of the state, for marks and reports.
    """

    spec: MachineSpec
    key: str
    stage: str
    vm_state: Path
    ram: Path | None
    vars_file: Path | None
    past: Transcript
    shared: tuple[str, ...] = ()
