"""The power and reset buttons, power cut and given by force, and the guest's own poweroff and reboot."""

from __future__ import annotations

from emulator.machine.control import Capability
from harness.scenario.scenario import Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Send, Shows, Step
from harness.scenario.stimulus import Button, Press, SysRq
from harness.scenarios import phrases

_POWER = frozenset({"power"})
_OBEYED = Inject(
    stimulus=Press(button=Button.POWER_BUTTON),
    effects=(
        phrases.line("ttylab: power button pressed", "the guest takes the button"),
        phrases.POWERS_DOWN,
        phrases.SHUTS_DOWN,
        phrases.SWITCHES_OFF,
    ),
    within_s=40.0,
    allows=phrases.OFF,
)
_CUT = Inject(stimulus=Press(button=Button.POWER_OFF), effects=(phrases.SWITCHES_OFF,), allows=phrases.OFF)
_GIVE = Inject(stimulus=Press(button=Button.POWER_ON), effects=(phrases.KERNEL_STARTS,), within_s=90.0)


_RESET = frozenset({"reset"})
PUSH = Inject(
    stimulus=Press(button=Button.RESET),
    effects=(phrases.RESTARTS, phrases.KERNEL_STARTS),
    within_s=90.0,
    allows=phrases.RESET,
)
_BACK: tuple[Step, ...] = (Reach(stage=Stage.SHELL), Alive())

SCENARIOS = (
    scenario(
        "power-button",
        "The power button shuts the guest down cleanly",
        "Pushes the power button once. The guest must notice it, end its processes, say on the console "
        "that it powers down, and switch the machine off.",
        Reach(stage=Stage.SHELL),
        _OBEYED,
        severity=Severity.CRITICAL,
        tags=_POWER,
    ),
    scenario(
        "power-button-on",
        "A guest that was shut down by the power button boots again",
        "Shuts the guest down by the power button, switches it on again and logs in on the same console: "
        "stop and start, as a cloud's portal does it.",
        Reach(stage=Stage.SHELL),
        _OBEYED,
        _GIVE,
        *_BACK,
        tags=_POWER,
    ),
    scenario(
        "power-button-ignored",
        "A guest that ignores the power button runs on, and this is noticed",
        "Pushes the power button of a guest without a daemon for it. Nothing may happen: no text, no "
        "shutdown, and the shell must still answer. That the machine accepts the press proves nothing; only "
        "the guest does.",
        Reach(stage=Stage.SHELL),
        Inject(
            stimulus=Press(button=Button.POWER_BUTTON),
            outcome=Outcome.NO_EFFECT,
            unless=(
                Shows(pattern=r"power button pressed", says="the guest takes the button"),
                Shows(pattern=r"going down NOW|reboot: Power down", says="the guest shuts down"),
            ),
            quiet_s=3.0,
        ),
        Alive(),
        tags=_POWER,
        kernel_args=("ttylab.power=ignore",),
    ),
    scenario(
        "power-cycle",
        "Cutting and restoring power brings the guest back",
        "Cuts the power of a running guest without asking it, restores it and logs in. This is the last "
        "resort, and must always work.",
        Reach(stage=Stage.SHELL),
        _CUT,
        _GIVE,
        *_BACK,
        severity=Severity.CRITICAL,
        tags=_POWER,
    ),
    scenario(
        "power-cycle-boot",
        "Cutting power in the middle of a boot does no harm",
        "Cuts the power when the kernel has just begun to boot, restores it and logs in. One console then "
        "shows two boots, which must be told apart.",
        Reach(stage=Stage.KERNEL),
        _CUT,
        _GIVE,
        *_BACK,
        tags=_POWER | {"boot"},
    ),
    scenario(
        "power-cycle-panicked",
        "Cutting and restoring power revives a guest that has panicked",
        "Crashes the kernel by BREAK and c, cuts the power, restores it and logs in. The panic must stay "
        "readable in the console's history.",
        Reach(stage=Stage.SHELL),
        Inject(
            stimulus=SysRq(key="c"),
            effects=phrases.CRASH,
            attempts=phrases.ATTEMPTS,
            allows=phrases.PANIC,
        ),
        _CUT,
        _GIVE,
        *_BACK,
        tags=_POWER | {"panic", "sysrq"},
        kernel_args=(phrases.FREE_SYSRQ, phrases.HALT_ON_PANIC),
    ),
    scenario(
        "power-command",
        "The guest's own poweroff switches the machine off",
        "Types poweroff. The guest ends its processes, says on the console that it powers down, and the "
        "machine switches off by itself.",
        Reach(stage=Stage.SHELL),
        Send(line="poweroff"),
        Expect(
            effects=(phrases.POWERS_DOWN, phrases.SHUTS_DOWN, phrases.SWITCHES_OFF),
            within_s=40.0,
            allows=phrases.OFF,
        ),
        tags=_POWER,
        requires=frozenset({Capability.SOFT_OFF}),
    ),
    scenario(
        "reset-login",
        "Reset at the login prompt brings the guest back to it",
        "Pushes the reset button at the login prompt, sees the machine restart and logs in. This is the "
        "simplest cure for a server that has lost its network.",
        Reach(stage=Stage.LOGIN),
        PUSH,
        *_BACK,
        severity=Severity.BLOCKER,
        tags=_RESET,
    ),
    scenario(
        "reset-shell",
        "Reset under a running command brings the guest back",
        "Starts a command that does not end, pushes the reset button and logs in again. Nothing of the old "
        "boot may survive: no shell, no command.",
        Reach(stage=Stage.SHELL),
        Send(line="sleep 1000"),
        PUSH,
        *_BACK,
        tags=_RESET,
    ),
    scenario(
        "reset-boot",
        "Reset in the middle of a boot starts it again",
        "Pushes the reset button when the kernel has just begun to boot; the second boot must reach a "
        "shell. An impatient press must do no harm.",
        Reach(stage=Stage.KERNEL),
        PUSH,
        *_BACK,
        severity=Severity.CRITICAL,
        tags=_RESET | {"boot"},
    ),
    scenario(
        "reset-twice",
        "Two resets in a row leave a guest that boots",
        "Pushes the reset button, and again as soon as the kernel starts. Overlapping restarts must end in "
        "one good boot, and the console must show both.",
        Reach(stage=Stage.LOGIN),
        PUSH,
        PUSH,
        *_BACK,
        tags=_RESET,
    ),
    scenario(
        "reset-reboot",
        "The guest's own reboot comes back to a shell",
        "Types reboot. The guest ends its processes, says so on the console, restarts the machine and "
        "comes back to a shell: the gentle counterpart of the reset button.",
        Reach(stage=Stage.SHELL),
        Send(line="reboot"),
        Expect(
            effects=(
                phrases.line("reboot: Restarting system", "the kernel restarts the machine"),
                phrases.RESTARTS,
            ),
            allows=phrases.RESET,
        ),
        *_BACK,
        tags=_RESET,
    ),
    scenario(
        "reset-halted",
        "A guest that was halted is brought back by reset",
        "Types halt: the guest stops with the power on, as a server does after a mistaken command. No "
        "request reaches it any more, but the reset button does.",
        Reach(stage=Stage.SHELL),
        Send(line="halt"),
        Expect(effects=(phrases.line("reboot: System halted", "the guest halts"),), allows=phrases.HALTED),
        PUSH,
        *_BACK,
        tags=_RESET | {"power"},
    ),
)
