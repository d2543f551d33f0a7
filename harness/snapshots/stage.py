"""From which stage a scenario can start, and what the stages are called; pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from emulator.errors import SpecError
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Reach

TESTS_BOOT = "boot"
"""The tag of scenarios that test booting, and so must begin with a boot."""
GRUB = "grub"
_STAGES: Mapping[GuestKind, Mapping[Stage, Stage]] = MappingProxyType(
    {
        GuestKind.LINUX: {Stage.LOADER: Stage.LOADER, Stage.LOGIN: Stage.LOGIN, Stage.SHELL: Stage.SHELL},
        # Each scenario opens a channel of its own: its driver keeps the name, and the guest counts them.
        GuestKind.SAC: {
            Stage.LOADER: Stage.LOADER,
            Stage.SAC: Stage.SAC,
            Stage.CMD: Stage.CMD,
            Stage.LOGIN: Stage.CMD,
            Stage.SHELL: Stage.CMD,
        },
    }
)
"""The snapshot that serves each stage, by kind of guest; the other stages are too short to be kept."""


def snapshot_stage(scenario: Scenario) -> Stage | None:
    """Return the stage that a scenario can start from; None if it begins with a boot.

    That is its `from_state`, else the stage of its first step, unless it tests booting (tag "boot").
    """
    if scenario.from_state is not None:
        return serving_stage(scenario.guest, scenario.from_state)
    first = scenario.steps[0]
    if TESTS_BOOT in scenario.tags or not isinstance(first, Reach) or first.stage is Stage.LOADER:
        return None
    return _STAGES[scenario.guest].get(first.stage)


def serving_stage(guest: GuestKind, stage: Stage) -> Stage:
    """Return the stage whose snapshot serves `stage`; raises SpecError if none does."""
    found = _STAGES[guest].get(stage)
    if found is None:
        raise SpecError(f"no snapshot of a {guest} guest at {stage}; there are: {', '.join(_STAGES[guest])}")
    return found


def named_stage(name: str) -> Stage:
    """Return the stage of a name, "grub" for LOADER; raises SpecError if there is none."""
    if name == GRUB:
        return Stage.LOADER
    if name not in tuple(Stage):
        raise SpecError(f"stage is {name!r}; allowed: {GRUB}, {', '.join(Stage)}")
    return Stage(name)
