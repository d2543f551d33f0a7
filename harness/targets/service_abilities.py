"""What a machine can be asked for through the console service, and why not for the rest; pure."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.machine.control import Capability, capabilities
from emulator.machine.spec import MachineSpec
from harness.scenario.scenario import Inject, Outcome, Scenario, Step
from harness.scenario.stimulus import Button, Press

OBSTACLES: Mapping[Capability, str] = {
    Capability.KEYBOARD: "the service has no keyboard: a system request goes over the serial line",
    Capability.BULK_CONSOLE: "the service has one console, COM1",
    Capability.SCREEN: "the service shows the screen in boot diagnostics only",
}


NOT_ALIKE: Mapping[str, str] = {
    "nmi-boot": "the service holds an NMI back until a guest's first boot is over",
    "sac-power-button-menu": "the service pushes the power button when the guest's boot is over",
}
"""Scenarios that would be played to their end through the service, but not be what they say."""


def service_misfit(scenario: Scenario) -> str | None:
    """Return why `scenario` can't be played through the service, or None."""
    if scenario.keeps_disk:
        return "through the service: nobody can read the guest's disk, where the crash dump is"
    if any(map(_is_button_ignored, scenario.steps)):
        return "through the service: Azure's powerOff cuts the power of a guest that does not obey"
    missing = sorted(scenario.needs & frozenset(OBSTACLES))
    if missing:
        return f"through the service: {'; '.join(OBSTACLES[one] for one in missing)}"
    why = NOT_ALIKE.get(scenario.name)
    return None if why is None else f"through the service: {why}"


def _is_button_ignored(step: Step) -> bool:
    return (
        isinstance(step, Inject)
        and step.stimulus == Press(button=Button.POWER_BUTTON)
        and step.outcome is Outcome.NO_EFFECT
    )


def service_capabilities(spec: MachineSpec) -> frozenset[Capability]:
    """Return what can be done to a machine of this spec behind the service."""
    return capabilities(spec) - frozenset(OBSTACLES)
