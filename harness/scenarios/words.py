"""The words of the shipped scenarios, which words.toml has: a title and a description by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from emulator.values import read_toml
from harness.scenario.scenario import Fields, Scenario, scenario
from harness.scenario.steps import Step

WORDS: dict[str, Any] = read_toml(Path(__file__).with_name("words.toml"))
"""By a scenario's name: its title and description."""


def words_of(name: str) -> tuple[str, str]:
    """Return the title and the description of the scenario `name`, each as one line; "" where it has none."""
    words = WORDS.get(name, {})
    return words.get("title", ""), " ".join(words.get("description", "").split())


def told(name: str, *steps: Step, **fields: Unpack[Fields]) -> Scenario:
    """Return a scenario whose words stand in words.toml; raises as `Scenario`, also where they are not."""
    return scenario(name, *words_of(name), *steps, **fields)
