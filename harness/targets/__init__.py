"""What scenarios can be played on: a machine here, a VM behind the service, a serial port."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from emulator.errors import unknown_name

if TYPE_CHECKING:
    from harness.targets.target_kind import TargetKind

MACHINE = "machine"
SERIAL = "serial"
TARGETS: Mapping[str, str] = MappingProxyType(
    {
        MACHINE: "harness.targets.machine",
        "service": "harness.targets.service",
        SERIAL: "harness.targets.serial_port",
    }
)
"""The module that has each kind of target as its KIND; it is loaded when the kind is needed."""


def find_target(name: str = MACHINE) -> TargetKind:
    """Return the kind of target called `name`.

    Raises:
        SpecError: there is none; the text names those that exist.
    """
    if name not in TARGETS:
        raise unknown_name("target", name, TARGETS)
    return cast("TargetKind", import_module(TARGETS[name]).KIND)


def target_at(port: str) -> TargetKind:
    """Return the kind of target for a `--port` of "" or the URL of a serial port."""
    return find_target(SERIAL if port else MACHINE)
