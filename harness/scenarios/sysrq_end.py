"""System requests that crash, restart or switch off the guest."""

from __future__ import annotations

from emulator.machine.control import Capability
from harness.scenario.scenario import Alive, Inject, Reach, Scenario, Severity
from harness.scenario.stages import Stage
from harness.scenario.stimulus import Button, Press, SysRq, Via
from harness.scenarios import phrases
from harness.scenarios.sysrq import ATTEMPTS

_SYSRQ = frozenset({"sysrq"})
_TRIGGERED = phrases.line("sysrq: Trigger a crash", "the kernel crashes itself")
_CRASH = (_TRIGGERED, phrases.panic("sysrq triggered crash"), phrases.PANIC_WHOLE)

SCENARIOS = (
    Scenario(
        name="sysrq-crash",
        title="BREAK + c makes the kernel panic, and the panic is read whole",
        description=(
            "Sends c, which crashes the kernel on purpose. With a crash kernel installed this saves a dump "
            "of a server that can't be understood otherwise."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(stimulus=SysRq(key="c"), effects=_CRASH, attempts=ATTEMPTS, allows=phrases.PANIC),
        ),
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"panic"},
        kernel_args=(phrases.FREE_SYSRQ, phrases.HALT_ON_PANIC),
    ),
    Scenario(
        name="sysrq-crash-reset",
        title="A guest that has panicked is brought back by reset",
        description=(
            "Crashes the kernel by BREAK and c, with no reboot after a panic, then pushes the reset button "
            "and logs in. A dead server must come back without anybody near it."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(stimulus=SysRq(key="c"), effects=_CRASH, attempts=ATTEMPTS, allows=phrases.PANIC),
            Inject(stimulus=Press(button=Button.RESET), effects=(phrases.RESTARTS,), allows=phrases.RESET),
            Reach(stage=Stage.SHELL),
            Alive(),
        ),
        tags=_SYSRQ | {"panic", "reset"},
        kernel_args=(phrases.FREE_SYSRQ, phrases.HALT_ON_PANIC),
    ),
    Scenario(
        name="sysrq-reboot",
        title="BREAK + b restarts the machine at once",
        description=(
            "Sends b: the kernel restarts the machine without asking any process or writing any data, and "
            "the guest comes back to a shell. Last step of an emergency reboot over the serial line."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(
                stimulus=SysRq(key="b"),
                effects=(phrases.line("sysrq: Resetting", "the kernel resets"), phrases.RESTARTS),
                attempts=ATTEMPTS,
                allows=phrases.RESET,
            ),
            Reach(stage=Stage.SHELL),
            Alive(),
        ),
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"reset"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
    Scenario(
        name="sysrq-poweroff",
        title="BREAK + o switches the machine off, and it can be switched on again",
        description=(
            "Sends o: the kernel switches the machine off without asking any process. Power is then given "
            "again and the guest comes back."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(
                stimulus=SysRq(key="o"),
                effects=(
                    phrases.line("sysrq: Power Off", "the kernel switches off"),
                    phrases.POWERS_DOWN,
                    phrases.SWITCHES_OFF,
                ),
                attempts=ATTEMPTS,
                allows=phrases.OFF,
            ),
            Inject(stimulus=Press(button=Button.POWER_ON), effects=(phrases.KERNEL_STARTS,), within_s=90.0),
            Reach(stage=Stage.SHELL),
            Alive(),
        ),
        tags=_SYSRQ | {"power"},
        kernel_args=(phrases.FREE_SYSRQ,),
        requires=frozenset({Capability.SOFT_OFF}),
    ),
    Scenario(
        name="sysrq-reisub",
        title="The six requests R E I S U B reboot a hung guest in good order",
        description=(
            "Sends r, e, i, s, u and b, each after the one before has shown: keyboard, terminate, kill, "
            "sync, remount, reboot. The textbook cure of a hung Linux, typed over a serial line."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            *(
                Inject(
                    stimulus=SysRq(key=key),
                    effects=(phrases.line(text, f"the kernel says: {text}"),),
                    attempts=ATTEMPTS,
                )
                for key, text in (
                    ("r", "sysrq: Keyboard mode set to system default"),
                    ("e", "sysrq: Terminate All Tasks"),
                    ("i", "sysrq: Kill All Tasks"),
                    ("s", "Emergency Sync complete"),
                    ("u", "Emergency Remount complete"),
                )
            ),
            Inject(
                stimulus=SysRq(key="b"),
                effects=(phrases.line("sysrq: Resetting", "the kernel resets"), phrases.RESTARTS),
                attempts=ATTEMPTS,
                allows=phrases.RESET,
            ),
            Reach(stage=Stage.SHELL),
            Alive(),
        ),
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"reset"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
    Scenario(
        name="sysrq-proc-crash",
        title="c written to /proc/sysrq-trigger makes the kernel panic",
        description=(
            "Types the request into a root shell instead of sending a BREAK. This is the way where the "
            "line can carry no BREAK, as over some gateways."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(stimulus=SysRq(key="c", via=Via.PROC), effects=_CRASH, allows=phrases.PANIC),
        ),
        tags=_SYSRQ | {"panic"},
        kernel_args=(phrases.HALT_ON_PANIC,),
    ),
)
