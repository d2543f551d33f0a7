"""Non-maskable interrupts: Azure's NMI button on a guest that panics, lives on, or hangs."""

from __future__ import annotations

from harness.scenario.scenario import Severity
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Run, Send, Silence, Step
from harness.scenario.stimulus import Nmi, SysRq
from harness.scenarios import phrases
from harness.scenarios.words import told

_NMI = frozenset({"nmi"})
_ARMED = ("unknown_nmi_panic=1", "sysctl.kernel.panic_on_unrecovered_nmi=1")
"""microvm heeds only the second (emulator.machine.control, UNKNOWN_NMI)."""
_ALLOWS = phrases.NMI | phrases.PANIC
_IS_NOTED = Inject(stimulus=Nmi(), effects=(phrases.NMI_NOTED, phrases.NMI_DAZED), allows=phrases.NMI)
_PANICS = Inject(stimulus=Nmi(), effects=phrases.NMI_PANIC, allows=_ALLOWS)
_HANGS: tuple[Step, ...] = (
    Reach(stage=Stage.SHELL),
    # A shell that writes all the time: once it falls silent, the processor spins.
    Send(line="while sleep 0.2; do echo tick; done & insmod /lib/modules/spin.ko"),
    Expect(effects=(phrases.line(r"spin: module verification failed", "the module is loaded"),)),
    Silence(),
    Inject(stimulus=SysRq(key="h"), outcome=Outcome.NO_EFFECT, unless=(phrases.SYSRQ_ANY,)),
)

SCENARIOS = (
    told(
        "nmi-panic",
        Reach(stage=Stage.SHELL),
        _PANICS,
        severity=Severity.BLOCKER,
        tags=_NMI | {"panic"},
        kernel_args=(*_ARMED, phrases.HALT_ON_PANIC),
    ),
    told(
        "nmi-panic-reboot",
        Reach(stage=Stage.SHELL),
        Inject(
            stimulus=Nmi(), effects=(*phrases.NMI_PANIC, phrases.RESTARTS), allows=_ALLOWS | phrases.RESET
        ),
        *phrases.UP,
        severity=Severity.CRITICAL,
        tags=_NMI | {"panic", "reset"},
        kernel_args=(*_ARMED, phrases.REBOOT_ON_PANIC),
    ),
    told(
        "nmi-panic-sysctl",
        Reach(stage=Stage.SHELL),
        _IS_NOTED,
        Run(command="sysctl -w kernel.unknown_nmi_panic=1 kernel.panic_on_unrecovered_nmi=1"),
        _PANICS,
        tags=_NMI | {"panic"},
        kernel_args=(phrases.HALT_ON_PANIC,),
    ),
    told("nmi-dazed", Reach(stage=Stage.SHELL), _IS_NOTED, Alive(), severity=Severity.CRITICAL, tags=_NMI),
    told(
        "nmi-twice",
        Reach(stage=Stage.SHELL),
        _IS_NOTED,
        Inject(stimulus=Nmi(), effects=(phrases.NMI_NOTED, phrases.NMI_DAZED)),
        Alive(),
        tags=_NMI,
    ),
    told(
        "nmi-boot",
        Reach(stage=Stage.KERNEL),
        Expect(effects=(phrases.line("Run /init as init process", "init is started"),), within_s=90.0),
        _IS_NOTED,
        *phrases.UP,
        tags=_NMI | {"boot"},
    ),
    told(
        "nmi-hung",
        *_HANGS,
        _PANICS,
        severity=Severity.CRITICAL,
        tags=_NMI | {"hang", "panic"},
        kernel_args=(*_ARMED, phrases.HALT_ON_PANIC, phrases.FREE_SYSRQ, "maxcpus=1"),
        modules=frozenset({"spin"}),
    ),
    told(
        "hang-reset",
        *_HANGS,
        phrases.RESET_BUTTON,
        *phrases.UP,
        tags=frozenset({"hang", "reset"}),
        kernel_args=(phrases.FREE_SYSRQ, "maxcpus=1"),
        modules=frozenset({"spin"}),
    ),
)
