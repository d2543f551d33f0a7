"""Magic system requests, over the serial line's BREAK, the keyboard and /proc."""

from __future__ import annotations

from harness.scenario import Alive, Inject, Reach, Scenario, Severity, Shows
from harness.stages import Stage
from harness.stimulus import SysRq

SCENARIOS = (
    Scenario(
        name="sysrq-help",
        title="BREAK + h prints the list of system requests",
        description=(
            "Holds the serial line in BREAK and sends h. The kernel itself prints the keys that it obeys; "
            "no process of the guest takes part, so this works on a server whose user space hangs."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(
                stimulus=SysRq(key="h"),
                effects=(Shows(pattern=r"sysrq: HELP : loglevel\(0-9\) ", says="the kernel lists its keys"),),
                attempts=3,
            ),
            Alive(),
        ),
        severity=Severity.CRITICAL,
        tags=frozenset({"sysrq"}),
    ),
)
