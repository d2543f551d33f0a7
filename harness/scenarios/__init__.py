"""The scenarios that ttylab ships, one module for each theme."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from emulator.errors import SpecError, unknown_name
from harness.scenario.scenario import Scenario
from harness.scenarios import (
    boot,
    console_load,
    hardware,
    nmi,
    power,
    sac,
    sac_bugcheck,
    sac_menu,
    sac_stimuli,
    sysrq,
    sysrq_special,
)


def library_of(scenarios: Iterable[Scenario]) -> Mapping[str, Scenario]:
    """Return the scenarios by name, sorted.

    Raises:
        SpecError: two have one name.
    """
    library: dict[str, Scenario] = {}
    for scenario in sorted(scenarios, key=lambda scenario: scenario.name):
        if scenario.name in library:
            raise SpecError(f"scenario {scenario.name!r} is there twice")
        library[scenario.name] = scenario
    return MappingProxyType(library)


_THEMES = (
    *(boot, console_load, hardware, nmi, power, sysrq, sysrq_special),
    *(sac, sac_bugcheck, sac_menu, sac_stimuli),
)
LIBRARY: Mapping[str, Scenario] = library_of(scenario for theme in _THEMES for scenario in theme.SCENARIOS)
"""Every shipped scenario by its name, sorted."""


def find_scenario(name: str) -> Scenario:
    """Return the scenario called `name`.

    Raises:
        SpecError: there is none; the text names similar ones.
    """
    if name not in LIBRARY:
        raise unknown_name("scenario", name, LIBRARY)
    return LIBRARY[name]
