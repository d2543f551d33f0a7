"""Scenarios of this repository; `ttylab scenarios list` shows them (docs/howto/scenario.md of ttylab)."""

from harness import Alive, Expect, Inject, Nmi, Reach, Scenario, Send, Severity, Shows, Stage

SCENARIOS = (
    Scenario(
        name="own-kernel-log",
        title="A line written to the kernel's log comes out on the console",
        description="Writes a line to /dev/kmsg as a driver's printk does, waits for it on the console, "
        "and has the guest answer once more after an NMI.",
        steps=(
            Reach(stage=Stage.SHELL),
            Send(line="echo '<2>own: this is a test' > /dev/kmsg"),
            Expect(effects=(Shows(pattern=r"\] own: this is a test\r\n", says="the kernel prints it"),)),
            Inject(
                stimulus=Nmi(),
                effects=(Shows(pattern=r"NMI received for unknown reason", says="the kernel took the NMI"),),
                allows=frozenset({"nmi-unknown"}),
            ),
            Alive(),
        ),
        severity=Severity.CRITICAL,
        tags=frozenset({"own"}),
    ),
)
