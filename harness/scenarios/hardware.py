"""Parts that a machine may have: a watchdog, the panic device, a second processor."""

from __future__ import annotations

from emulator.machine.spec import Device, WatchdogAction
from harness.scenario.scenario import Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Reach, Run, Send, Shows, Signals
from harness.scenario.stimulus import SysRq
from harness.scenarios import phrases

_WATCHDOG = frozenset({"watchdog"})
_PANIC_EVENT = frozenset({"panic-event"})
_EXPIRES = Signals(name="WATCHDOG", says="the watchdog expires")
_PANICKED = Signals(name="GUEST_PANICKED", says="the machine is told of the panic")
_STARVE = Send(line="watchdog -T 2 -t 600 /dev/watchdog")
"""Arms the watchdog for 2 s and feeds it every 10 minutes."""


_SMP = frozenset({"smp"})

SCENARIOS = (
    scenario(
        "watchdog-reset",
        "A watchdog that is not fed restarts the machine",
        "Arms the i6300esb watchdog for two seconds and does not feed it. It must expire and restart the "
        "machine, and the guest must come back: the cure for a server that nobody is watching.",
        Reach(stage=Stage.SHELL),
        _STARVE,
        Expect(effects=(_EXPIRES, phrases.RESTARTS), allows=_WATCHDOG | phrases.RESET),
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_WATCHDOG | {"reset"},
        devices=frozenset({Device.I6300ESB}),
        modules=frozenset({"i6300esb"}),
    ),
    scenario(
        "watchdog-fed",
        "A watchdog that is fed leaves the machine alone",
        "Arms the i6300esb watchdog for two seconds and feeds it twice a second for six. Nothing may "
        "happen: a watchdog that bites a healthy server is worse than none.",
        Reach(stage=Stage.SHELL),
        Run(command="watchdog -T 2 -t 500ms /dev/watchdog; sleep 6"),
        Alive(),
        tags=_WATCHDOG,
        devices=frozenset({Device.I6300ESB}),
        modules=frozenset({"i6300esb"}),
    ),
    scenario(
        "watchdog-nmi",
        "A watchdog that sends an NMI makes the kernel panic",
        "Arms the watchdog of a machine that answers its expiry with an NMI, in a guest told to panic on "
        "one. A hang then leaves a crash report on the console instead of restarting silently.",
        Reach(stage=Stage.SHELL),
        _STARVE,
        Expect(
            effects=(_EXPIRES, *phrases.NMI_PANIC),
            allows=_WATCHDOG | phrases.NMI | phrases.PANIC,
        ),
        tags=_WATCHDOG | {"nmi", "panic"},
        kernel_args=("unknown_nmi_panic=1", phrases.HALT_ON_PANIC),
        devices=frozenset({Device.I6300ESB}),
        watchdog_action=WatchdogAction.INJECT_NMI,
        modules=frozenset({"i6300esb"}),
    ),
    scenario(
        "panic-event",
        "The machine is notified of a panic, and the panic is on the console too",
        "Crashes a guest that has the pvpanic device. The host must get the panic as an event, which a "
        "cloud can act on, and the console must still carry the whole text.",
        Reach(stage=Stage.SHELL),
        Inject(
            stimulus=SysRq(key="c"),
            effects=(*phrases.CRASH, _PANICKED),
            attempts=phrases.ATTEMPTS,
            allows=phrases.PANIC | _PANIC_EVENT,
        ),
        severity=Severity.CRITICAL,
        tags=frozenset({"panic", "sysrq"}),
        kernel_args=(phrases.FREE_SYSRQ, phrases.HALT_ON_PANIC),
        devices=frozenset({Device.PVPANIC}),
        modules=frozenset({"pvpanic"}),
    ),
    scenario(
        "smp-boot",
        "A guest with two processors runs on both",
        "Boots with two virtual processors and makes each of them work. Races on the console show only "
        "where two processors write to it.",
        Reach(stage=Stage.SHELL),
        Run(command="nproc", shows=Shows(pattern=r"[2-4]\r?\n", says="the guest has its processors")),
        Run(
            command="taskset 2 cut -d ' ' -f 39 /proc/self/stat",
            shows=Shows(pattern=r"(^|\n)1\r?\n", says="a process runs on CPU 1"),
        ),
        Alive(),
        tags=_SMP | {"boot"},
        min_vcpus=2,
    ),
    scenario(
        "smp-backtrace",
        "BREAK + l shows a backtrace of every processor",
        "Keeps both processors busy, sends l, and must find a report of each, CPU 0 and CPU 1. Most hangs "
        "are one processor waiting for something that another one holds.",
        Reach(stage=Stage.SHELL),
        Run(command="for cpu in 1 2; do taskset $cpu sh -c 'while :; do :; done' & done; sleep 0.3"),
        Inject(
            stimulus=SysRq(key="l"),
            effects=(
                phrases.line("sysrq: Show backtrace of all active CPUs", "the kernel says so"),
                phrases.line("NMI backtrace for cpu [01]", "a processor reports"),
                phrases.line("NMI backtrace for cpu [01]", "the other processor reports"),
            ),
            attempts=phrases.ATTEMPTS,
        ),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_SMP | {"sysrq"},
        kernel_args=(phrases.FREE_SYSRQ,),
        min_vcpus=2,
    ),
)
