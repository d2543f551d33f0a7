"""Non-maskable interrupts: Azure's NMI button on a guest that panics, lives on, or hangs."""

from __future__ import annotations

from harness.scenario.scenario import Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Run, Send, Silence, Step
from harness.scenario.stimulus import Nmi, SysRq
from harness.scenarios import phrases

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
    scenario(
        "nmi-panic",
        "NMI makes the kernel panic, and the panic is read whole",
        "Sends an NMI to a guest told to panic on one (unknown_nmi_panic). This is how a dead server is "
        "made to leave a crash dump; the console must carry the panic to its last line, because nothing "
        "comes after it.",
        Reach(stage=Stage.SHELL),
        _PANICS,
        severity=Severity.BLOCKER,
        tags=_NMI | {"panic"},
        kernel_args=(*_ARMED, phrases.HALT_ON_PANIC),
    ),
    scenario(
        "nmi-panic-reboot",
        "NMI makes the kernel panic and reboot, and the guest comes back",
        "Sends an NMI to a guest told to panic on one and to reboot a second later (panic=1). One press is "
        "the whole cure for a hung server: panic, restart, login prompt.",
        Reach(stage=Stage.SHELL),
        Inject(
            stimulus=Nmi(),
            effects=(*phrases.NMI_PANIC, phrases.RESTARTS),
            allows=_ALLOWS | phrases.RESET,
        ),
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_NMI | {"panic", "reset"},
        kernel_args=(*_ARMED, phrases.REBOOT_ON_PANIC),
    ),
    scenario(
        "nmi-panic-sysctl",
        "NMI panics a guest that was armed while it ran",
        "Arms the panic by sysctl in the running guest, as Azure's guide says, and sends an NMI. Before "
        "that an NMI is only noted: the setting makes the difference, and needs no reboot.",
        Reach(stage=Stage.SHELL),
        _IS_NOTED,
        Run(command="sysctl -w kernel.unknown_nmi_panic=1 kernel.panic_on_unrecovered_nmi=1"),
        _PANICS,
        tags=_NMI | {"panic"},
        kernel_args=(phrases.HALT_ON_PANIC,),
    ),
    scenario(
        "nmi-dazed",
        "NMI on a guest with default settings is noted, and the guest lives",
        "Sends an NMI to a guest with Linux's defaults. The kernel says that it does not know the "
        "reason and goes on; the shell must still answer. An operator must know that the button alone "
        "does not crash such a guest.",
        Reach(stage=Stage.SHELL),
        _IS_NOTED,
        Alive(),
        severity=Severity.CRITICAL,
        tags=_NMI,
    ),
    scenario(
        "nmi-twice",
        "Two NMIs in a row are both noted",
        "Sends two NMIs to a guest with Linux's defaults, the second as soon as the first shows. If one "
        "press vanished, an operator would believe that the guest is dead.",
        Reach(stage=Stage.SHELL),
        _IS_NOTED,
        Inject(stimulus=Nmi(), effects=(phrases.NMI_NOTED, phrases.NMI_DAZED)),
        Alive(),
        tags=_NMI,
    ),
    scenario(
        "nmi-boot",
        "NMI during boot is noted, and the boot goes on to a shell",
        "Sends an NMI when the kernel has just started, long before a login prompt. It must be noted and "
        "must not end the boot: the button is often pressed while nothing seems to happen.",
        Reach(stage=Stage.KERNEL),
        Expect(effects=(phrases.line("Run /init as init process", "init is started"),), within_s=90.0),
        _IS_NOTED,
        Reach(stage=Stage.SHELL),
        Alive(),
        tags=_NMI | {"boot"},
    ),
    scenario(
        "nmi-hung",
        "NMI reaches a processor that spins with interrupts off, a system request does not",
        "Hangs the guest's only processor in a loop with interrupts off. BREAK and h must change nothing, "
        "since they need an interrupt; the NMI must still make the kernel panic. This is what the NMI "
        "button is for.",
        *_HANGS,
        _PANICS,
        severity=Severity.CRITICAL,
        tags=_NMI | {"hang", "panic"},
        kernel_args=(*_ARMED, phrases.HALT_ON_PANIC, phrases.FREE_SYSRQ, "maxcpus=1"),
        modules=frozenset({"spin"}),
    ),
    scenario(
        "hang-reset",
        "A guest that spins with interrupts off is brought back by reset",
        "Hangs the guest's only processor in a loop with interrupts off and pushes the reset button. "
        "The power button would ask the guest, which can't answer; reset does not ask.",
        *_HANGS,
        phrases.RESET_BUTTON,
        Reach(stage=Stage.SHELL),
        Alive(),
        tags=frozenset({"hang", "reset"}),
        kernel_args=(phrases.FREE_SYSRQ, "maxcpus=1"),
        modules=frozenset({"spin"}),
    ),
)
