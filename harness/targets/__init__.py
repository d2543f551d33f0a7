"""What a scenario can be played on: a machine here, a VM behind the service, a serial port."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from emulator.errors import unknown_name
from harness.targets.machine import MachineTargets
from harness.targets.serial_port import SerialTargets
from harness.targets.service import ServiceTargets
from harness.targets.target_kind import TargetKind

MACHINE: TargetKind = MachineTargets()
TARGETS: Mapping[str, TargetKind] = MappingProxyType(
    {one.name: one for one in (MACHINE, ServiceTargets(), SerialTargets())}
)
"""Every kind of target by its name."""


def target_at(port: str) -> TargetKind:
    """Return what is played on where `--port` says "" or the URL of a serial port."""
    return TARGETS["serial"] if port else MACHINE


def find_target(name: str) -> TargetKind:
    """Return the kind of target called `name`.

    Raises:
        SpecError: there is none; the text names those there are.
    """
    if name not in TARGETS:
        raise unknown_name("target", name, TARGETS)
    return TARGETS[name]
