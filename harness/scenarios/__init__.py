"""Every scenario there is: those that ttylab ships, one module for each theme, and the users' own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from emulator.errors import SpecError, unknown_name
from emulator.lab_file.read import current_lab
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
from harness.scenarios.own import brought_scenarios, load_scenarios


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


def library() -> Mapping[str, Scenario]:
    """Return every scenario by its name, sorted: the shipped ones, those of packages, and those of the lab.

    Raises:
        SpecError: lab.toml or a file that it names is wrong, or two scenarios have one name.
    """
    lab = current_lab()
    return _library(lab.roots, lab.lab.scenarios)


@lru_cache(maxsize=4)
def _library(roots: tuple[Path, ...], names: tuple[str, ...]) -> Mapping[str, Scenario]:
    own = [(name, load_scenarios(name, roots)) for name in names]
    owners = dict.fromkeys(LIBRARY, "ttylab itself")
    scenarios = [*LIBRARY.values()]
    for who, found in (*brought_scenarios(), *own):
        for one in found:
            if one.name in owners:
                both = f"in {owners[one.name]} and in {who}"
                raise SpecError(f"scenario {one.name!r} is there twice: {both}")
            owners[one.name] = who
            scenarios.append(one)
    return library_of(scenarios)


def find_scenario(name: str) -> Scenario:
    """Return the scenario called `name`.

    Raises:
        SpecError: there is none; the text names similar ones. Or as `library`.
    """
    scenarios = library()
    if name not in scenarios:
        raise unknown_name("scenario", name, scenarios)
    return scenarios[name]
