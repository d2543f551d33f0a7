"""Non-maskable interrupts: Azure's NMI button on a guest that panics, lives on, or hangs."""

from __future__ import annotations

from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Run, Send, Silence, Step
from harness.scenario.stimulus import Nmi, SysRq
from harness.scenarios import phrases
from harness.scenarios.words import told

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
    told("nmi-panic", Reach(stage=Stage.SHELL), _PANICS),
    told(
        "nmi-panic-reboot",
        Reach(stage=Stage.SHELL),
        Inject(
            stimulus=Nmi(), effects=(*phrases.NMI_PANIC, phrases.RESTARTS), allows=_ALLOWS | phrases.RESET
        ),
        *phrases.UP,
    ),
    told(
        "nmi-panic-sysctl",
        Reach(stage=Stage.SHELL),
        _IS_NOTED,
        Run(command="sysctl -w kernel.unknown_nmi_panic=1 kernel.panic_on_unrecovered_nmi=1"),
        _PANICS,
    ),
    told("nmi-dazed", Reach(stage=Stage.SHELL), _IS_NOTED, Alive()),
    told(
        "nmi-twice",
        Reach(stage=Stage.SHELL),
        _IS_NOTED,
        Inject(stimulus=Nmi(), effects=(phrases.NMI_NOTED, phrases.NMI_DAZED)),
        Alive(),
    ),
    told(
        "nmi-boot",
        Reach(stage=Stage.KERNEL),
        Expect(effects=(phrases.line("Run /init as init process", "init is started"),), within_s=90.0),
        _IS_NOTED,
        *phrases.UP,
    ),
    told("nmi-hung", *_HANGS, _PANICS),
    told("hang-reset", *_HANGS, phrases.RESET_BUTTON, *phrases.UP),
)
