"""Scenarios as values: what to do, what must appear, and what may happen on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict, Unpack

from emulator.errors import SpecError
from emulator.machine.control import Capability
from emulator.machine.spec import Device, WatchdogAction
from emulator.sac.knobs import SacKnobs
from harness.scenario.kind import GuestKind
from harness.scenario.stages import Stage
from harness.scenario.steps import SAC_STEPS, TYPES, CheckDump, Inject, Step


class Severity(StrEnum):
    """How bad a failure is, in Allure's words."""

    BLOCKER = "blocker"
    CRITICAL = "critical"
    NORMAL = "normal"
    MINOR = "minor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing that must be possible over a serial console.

    Attributes:
        name: id, lower case with hyphens.
        title: one line.
        description: what is done and why it matters, for readers who do not know ttylab.
        steps: in order.
        severity: how bad a failure is.
        tags: names to select by (`pytest -m`, `-k`).
        kernel_args: added to the guest's command line.
        devices: devices that the machine must have.
        requires: what the target must be able to do beyond what the stimuli need.
        modules: features that the image must offer ("i6300esb").
        watchdog_action: what the machine does when its watchdog expires.
        min_vcpus: how many CPUs it needs.
        guest: what must run on the console.
        from_state: stage of the snapshot it starts from; None: that of its first step, unless it tests
            booting (`harness.snapshots.stage`).
        knobs: how a SAC guest behaves; its profile comes with the image.
    """

    name: str
    title: str
    description: str
    steps: tuple[Step, ...]
    severity: Severity = Severity.NORMAL
    tags: frozenset[str] = frozenset()
    kernel_args: tuple[str, ...] = ()
    devices: frozenset[Device] = frozenset()
    requires: frozenset[Capability] = frozenset()
    modules: frozenset[str] = frozenset()
    watchdog_action: WatchdogAction = WatchdogAction.RESET
    min_vcpus: int = 1
    guest: GuestKind = GuestKind.LINUX
    from_state: Stage | None = None
    knobs: SacKnobs = field(default_factory=SacKnobs)

    def __post_init__(self) -> None:
        """Refuse a scenario without a usable name, a text or steps."""
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise SpecError(f"scenario name {self.name!r}: need lower-case words joined by hyphens")
        if not self.title or not self.description or not self.steps:
            raise SpecError(f"scenario {self.name}: title, description and steps must not be empty")
        if self.guest is not GuestKind.SAC and any(isinstance(step, SAC_STEPS) for step in self.steps):
            raise SpecError(f"scenario {self.name}: has steps for a SAC guest, but guest is {self.guest}")

    @property
    def keeps_disk(self) -> bool:
        """Whether the host must be able to read the guest's disk."""
        return any(isinstance(step, CheckDump) for step in self.steps)

    @property
    def needs(self) -> frozenset[Capability]:
        """What a target must be able to do for this scenario."""
        return self.requires.union(*(step.stimulus.needs for step in self.steps if isinstance(step, Inject)))

    def cause_of(self, index: int) -> int:
        """Return the number of the step from whose beginning step `index` may find what it expects.

        That is the first of the steps directly before it that only type (`TYPES`), else the step itself.
        """
        while index > 0 and isinstance(self.steps[index - 1], TYPES):
            index -= 1
        return index

    def allowed(self, index: int) -> frozenset[str]:
        """Return the alarms that step `index` may see: its own and those of the steps before it.

        A step that only types (`TYPES`) may also see what the next step may.
        """
        end = index + 1
        while end < len(self.steps) and isinstance(self.steps[end - 1], TYPES):
            end += 1
        return frozenset[str]().union(*(step.allows for step in self.steps[:end]))


class Fields(TypedDict, total=False):
    """The fields of a scenario that have defaults."""

    severity: Severity
    tags: frozenset[str]
    kernel_args: tuple[str, ...]
    devices: frozenset[Device]
    requires: frozenset[Capability]
    modules: frozenset[str]
    watchdog_action: WatchdogAction
    min_vcpus: int
    guest: GuestKind
    from_state: Stage | None
    knobs: SacKnobs


def scenario(name: str, title: str, description: str, *steps: Step, **fields: Unpack[Fields]) -> Scenario:
    """Return a scenario, written in the order in which it is read; raises as `Scenario`."""
    return Scenario(name=name, title=title, description=description, steps=steps, **fields)
