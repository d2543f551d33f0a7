"""Scenarios of this repository; `ttylab scenarios list` shows them (docs/howto/scenario.md of ttylab)."""

from harness import Alive, Inject, Nmi, Reach, Run, Scenario, Severity, Shows, Stage

SCENARIOS = (
    Scenario(
        name="own-kernel-log",
        title="A line written to the kernel's log comes out on the console",
        description="Writes a line to /dev/kmsg as a driver's printk does, waits for it on the console, "
        "and has the guest answer once more after an NMI.",
        steps=(
            Reach(stage=Stage.SHELL),
            Run(
                command="dmesg -n 8; echo '<4>own: this is a test' > /dev/kmsg",
                shows=Shows(pattern=r"own: this is a test\r\n", says="the kernel printed the line"),
            ),
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
