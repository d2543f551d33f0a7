"""Parts that a machine may have: a watchdog, the panic device, a second processor."""

from __future__ import annotations

from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Reach, Run, Send, Shows, Signals
from harness.scenarios import phrases
from harness.scenarios.words import told

_WATCHDOG = frozenset({"watchdog"})
_PANIC_EVENT = frozenset({"panic-event"})
_EXPIRES = Signals(name="WATCHDOG", says="the watchdog expires")
_PANICKED = Signals(name="GUEST_PANICKED", says="the machine is told of the panic")
_STARVE = Send(line="watchdog -T 2 -t 600 /dev/watchdog")
"""Arms the watchdog for 2 s and feeds it every 10 minutes."""


SCENARIOS = (
    told(
        "watchdog-reset",
        Reach(stage=Stage.SHELL),
        _STARVE,
        Expect(effects=(_EXPIRES, phrases.RESTARTS), allows=_WATCHDOG | phrases.RESET),
        *phrases.UP,
    ),
    told(
        "watchdog-fed",
        Reach(stage=Stage.SHELL),
        Run(command="watchdog -T 2 -t 500ms /dev/watchdog; sleep 6"),
        Alive(),
    ),
    told(
        "watchdog-nmi",
        Reach(stage=Stage.SHELL),
        _STARVE,
        Expect(effects=(_EXPIRES, *phrases.NMI_PANIC), allows=_WATCHDOG | phrases.NMI | phrases.PANIC),
    ),
    told(
        "panic-event",
        Reach(stage=Stage.SHELL),
        phrases.request("c", *phrases.CRASH, _PANICKED, allows=phrases.PANIC | _PANIC_EVENT),
    ),
    told(
        "smp-boot",
        Reach(stage=Stage.SHELL),
        Run(command="nproc", shows=Shows(pattern=r"[2-4]\r?\n", says="the guest has its processors")),
        Run(
            command="taskset 2 cut -d ' ' -f 39 /proc/self/stat",
            shows=Shows(pattern=r"(^|\n)1\r?\n", says="a process runs on CPU 1"),
        ),
        Alive(),
    ),
    told(
        "smp-backtrace",
        Reach(stage=Stage.SHELL),
        Run(command="for cpu in 1 2; do taskset $cpu sh -c 'while :; do :; done' & done; sleep 0.3"),
        phrases.request(
            "l",
            phrases.line("sysrq: Show backtrace of all active CPUs", "the kernel says so"),
            phrases.line(phrases.CPU_REPORT + "[01]", "a processor reports"),
            phrases.line(phrases.CPU_REPORT + "[01]", "the other processor reports"),
        ),
        Alive(),
    ),
)
