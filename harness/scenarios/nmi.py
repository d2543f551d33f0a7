"""Non-maskable interrupts: Azure's NMI button on a guest that panics, and on one that lives on."""

from __future__ import annotations

from harness.scenario import Alive, Inject, Reach, Scenario, Severity, Shows
from harness.stages import Stage
from harness.stimulus import Nmi

_PANIC = Shows(pattern=r"Kernel panic - not syncing: NMI: Not continuing", says="the kernel panics")
_PANIC_END = Shows(pattern=r"---\[ end Kernel panic - not syncing: NMI", says="the panic is printed whole")

SCENARIOS = (
    Scenario(
        name="nmi-panic",
        title="NMI makes the kernel panic, and the panic is read whole",
        description=(
            "Sends an NMI to a guest told to panic on one (unknown_nmi_panic). This is how a dead server is "
            "made to leave a crash dump; the console must carry the panic to its last line, because "
            "nothing comes after it."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(stimulus=Nmi(), effects=(_PANIC, _PANIC_END), allows=frozenset({"panic"})),
        ),
        severity=Severity.CRITICAL,
        tags=frozenset({"nmi", "panic"}),
        kernel_args=("unknown_nmi_panic=1", "panic=0"),
    ),
    Scenario(
        name="nmi-dazed",
        title="NMI on a guest with default settings is noted, and the guest lives",
        description=(
            "Sends an NMI to a guest with Linux's defaults. The kernel says that it does not know the "
            "reason and goes on; the shell must still answer. An operator must know that the button alone "
            "does not crash such a guest."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(
                stimulus=Nmi(),
                effects=(
                    Shows(pattern=r"NMI received for unknown reason", says="the kernel notes the NMI"),
                    Shows(pattern=r"Dazed and confused, but trying to continue", says="it goes on"),
                ),
                allows=frozenset({"nmi-unknown"}),
            ),
            Alive(),
        ),
        tags=frozenset({"nmi"}),
    ),
)
