"""What a scenario is played on: a console, and control of the machine behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emulator.console.channel import Channel
from emulator.machine.control import Capability, Control
from emulator.machine.machine import Machine
from harness.play.vitals import Vitals
from harness.scenario.errors import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A console and what can be done to the machine behind it.

    Attributes:
        name: for messages ("bookworm on q35", "rfc2217://lab:7001").
        channel: the console.
        control: does things to the machine.
        obstacles: why a capability is absent, if the reason is known.
        disk: file of the guest's disk, if the host may read it.
        ended: tells whether the far end is gone for good; the mark "far-end-gone" says why.
        argv: QEMU's command line, if one was started here.
        start: how the guest began, for reports: "booted", "forked from …", "joined".
        shares: what a fork has in common with every other fork of its snapshot.
        vitals: what its machine shows of a guest that is silent; None where that can't be seen.
        machine: the machine, if it is one of ttylab's own here, which can outlive its cell.
    """

    name: str
    channel: Channel
    control: Control
    obstacles: Mapping[Capability, str] = field(default_factory=dict)
    disk: Path | None = None
    ended: Callable[[], bool] = lambda: False
    argv: Sequence[str] = ()
    start: str = "booted"
    shares: Sequence[str] = ()
    vitals: Vitals | None = None
    machine: Machine | None = None

    def require(self, needs: frozenset[Capability]) -> None:
        """Check that the target can do all of `needs`; raises Unsupported if it can't."""
        missing = needs - self.control.capabilities
        if missing:
            shown = ", ".join(self._explain(one) for one in sorted(missing))
            raise Unsupported(f"{self.name} can't do {shown}")

    def _explain(self, capability: Capability) -> str:
        why = self.obstacles.get(capability)
        return capability.value if why is None else f"{capability.value} ({why})"
