"""What words.toml says of the shipped scenarios, by name: all but their steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack

from emulator.machine.control import Capability
from emulator.machine.spec import Device, WatchdogAction
from emulator.values import read_toml
from harness.scenario.scenario import Fields, Scenario, Severity, scenario
from harness.scenario.steps import Step

WORDS: dict[str, Any] = read_toml(Path(__file__).with_name("words.toml"))
"""By a scenario's name."""


def words_of(name: str) -> tuple[str, str]:
    """Return the title and the description of the scenario `name`, each as one line; "" where it has none."""
    words = WORDS.get(name, {})
    return words.get("title", ""), " ".join(words.get("description", "").split())


_FACTS: dict[str, Callable[[Any], Any]] = {
    "severity": Severity,
    "tags": frozenset,
    "kernel_args": tuple,
    "devices": lambda names: frozenset(map(Device, names)),
    "requires": lambda names: frozenset(map(Capability, names)),
    "modules": frozenset,
    "watchdog_action": WatchdogAction,
    "min_vcpus": int,
}
"""What words.toml may say of a scenario besides its words: fields of `Scenario`, and how each is made."""


def told(name: str, *steps: Step, **fields: Unpack[Fields]) -> Scenario:
    """Return a scenario; what is not given here stands in words.toml. Raises as `Scenario`."""
    table = {key: one for key, one in WORDS.get(name, {}).items() if key not in {"title", "description"}}
    facts: dict[str, Any] = {key: _FACTS[key](one) for key, one in table.items()}
    return scenario(name, *words_of(name), *steps, **facts | dict(fields))
