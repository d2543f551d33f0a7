"""Scenarios as values: what to do, what must be seen, and what may happen on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

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
    """One thing that a serial console must be good for.

    Attributes:
        name: id, lower case with hyphens.
        title: one line.
        description: what is done and why it matters, for a reader who knows no ttylab.
        steps: in order.
        severity: how bad a failure is.
        tags: words to select by (`pytest -m`, `-k`).
        kernel_args: added to the guest's command line.
        devices: parts that the machine must have.
        requires: what the machine must be able to do beyond what the stimuli need.
        modules: features that the image must offer ("i6300esb").
        watchdog_action: what the machine does when its watchdog expires.
        min_vcpus: how many CPUs it takes.
        settle_allows: alarms allowed from the start on.
        guest: what must speak on the console.
        from_state: the snapshot it goes on from; None: that of its first step, unless it tests booting
            (`golden.stage`).
        knobs: how a SAC guest behaves; its profile is the image's.
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
    settle_allows: frozenset[str] = field(default_factory=frozenset)
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
        """Whether the guest's disk must be there for the host to read."""
        return any(isinstance(step, CheckDump) for step in self.steps)

    @property
    def needs(self) -> frozenset[Capability]:
        """What a target must be able to do for this scenario."""
        needed = self.requires
        for step in self.steps:
            if isinstance(step, Inject):
                needed |= step.stimulus.needs
        return needed

    def cause_of(self, index: int) -> int:
        """Return the number of the step from whose begin on step `index` may find what it expects.

        That is the first of the steps directly before it that only type (`TYPES`), else itself.
        """
        while index > 0 and isinstance(self.steps[index - 1], TYPES):
            index -= 1
        return index

    def allowed(self, index: int) -> frozenset[str]:
        """Return the alarms that step `index` may see: its own and those of the steps before.

        One that only types (`TYPES`) may see what the step behind it may.
        """
        end = index + 1
        while end < len(self.steps) and isinstance(self.steps[end - 1], TYPES):
            end += 1
        return self.settle_allows.union(*(step.allows for step in self.steps[:end]))
