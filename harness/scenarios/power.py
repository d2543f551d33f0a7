"""The power and reset buttons, power cut and given by force, and the guest's own poweroff and reboot."""

from __future__ import annotations

from emulator.machine.control import Capability
from harness.scenario.scenario import Scenario, Severity
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
    Scenario(
        name="power-button",
        title="The power button shuts the guest down in good order",
        description=(
            "Pushes the power button once. The guest must notice it, end its processes, say on the console "
            "that it powers down, and switch the machine off."
        ),
        steps=(Reach(stage=Stage.SHELL), _OBEYED),
        severity=Severity.CRITICAL,
        tags=_POWER,
    ),
    Scenario(
        name="power-button-on",
        title="A guest that was shut down by its power button boots again",
        description=(
            "Shuts the guest down by its power button, gives power again and logs in on the same console: "
            "stop and start, as a cloud's portal does it."
        ),
        steps=(Reach(stage=Stage.SHELL), _OBEYED, _GIVE, *_BACK),
        tags=_POWER,
    ),
    Scenario(
        name="power-button-ignored",
        title="A guest that ignores the power button runs on, and this is seen",
        description=(
            "Pushes the power button of a guest without a daemon for it. Nothing may happen: no text, no "
            "shutdown, and the shell still answers. An accepted press proves nothing; only the guest does."
        ),
        steps=(
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
        ),
        tags=_POWER,
        kernel_args=("ttylab.power=ignore",),
    ),
    Scenario(
        name="power-cycle",
        title="Power cut and given again brings the guest back",
        description=(
            "Cuts the power of a running guest without asking it, gives it again and logs in. The last "
            "resort, and it must always work."
        ),
        steps=(Reach(stage=Stage.SHELL), _CUT, _GIVE, *_BACK),
        severity=Severity.CRITICAL,
        tags=_POWER,
    ),
    Scenario(
        name="power-cycle-boot",
        title="Power cut in the middle of a boot does no harm",
        description=(
            "Cuts the power when the kernel has just begun to boot, gives it again and logs in. Two boots "
            "stand on one console, and must be told apart."
        ),
        steps=(Reach(stage=Stage.KERNEL), _CUT, _GIVE, *_BACK),
        tags=_POWER | {"boot"},
    ),
    Scenario(
        name="power-cycle-panicked",
        title="Power cut and given again revives a guest that has panicked",
        description=(
            "Crashes the kernel by BREAK and c, cuts the power, gives it again and logs in. The panic must "
            "stay readable in the console's history."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Inject(
                stimulus=SysRq(key="c"),
                effects=(phrases.panic("sysrq triggered crash"), phrases.PANIC_WHOLE),
                attempts=3,
                allows=phrases.PANIC,
            ),
            _CUT,
            _GIVE,
            *_BACK,
        ),
        tags=_POWER | {"panic", "sysrq"},
        kernel_args=(phrases.FREE_SYSRQ, phrases.HALT_ON_PANIC),
    ),
    Scenario(
        name="power-command",
        title="The guest's own poweroff switches the machine off",
        description=(
            "Types poweroff. The guest ends its processes, says on the console that it powers down, and the "
            "machine goes off by itself."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Send(line="poweroff"),
            Expect(
                effects=(phrases.POWERS_DOWN, phrases.SHUTS_DOWN, phrases.SWITCHES_OFF),
                within_s=40.0,
                allows=phrases.OFF,
            ),
        ),
        tags=_POWER,
        requires=frozenset({Capability.SOFT_OFF}),
    ),
    Scenario(
        name="reset-login",
        title="Reset at the login prompt brings the guest back to it",
        description=(
            "Pushes the reset button while the login prompt waits, sees the machine restart and logs in. "
            "The plainest cure of a server that has lost its network."
        ),
        steps=(Reach(stage=Stage.LOGIN), PUSH, *_BACK),
        severity=Severity.BLOCKER,
        tags=_RESET,
    ),
    Scenario(
        name="reset-shell",
        title="Reset under a running command brings the guest back",
        description=(
            "Starts a command that does not end, pushes the reset button and logs in again. The new boot "
            "must owe nothing to the old: no shell, no command."
        ),
        steps=(Reach(stage=Stage.SHELL), Send(line="sleep 1000"), PUSH, *_BACK),
        tags=_RESET,
    ),
    Scenario(
        name="reset-boot",
        title="Reset in the middle of a boot starts it again",
        description=(
            "Pushes the reset button when the kernel has just begun to boot; the second boot must come to a "
            "shell. An impatient press must do no harm."
        ),
        steps=(Reach(stage=Stage.KERNEL), PUSH, *_BACK),
        severity=Severity.CRITICAL,
        tags=_RESET | {"boot"},
    ),
    Scenario(
        name="reset-twice",
        title="Two resets in a row leave a guest that boots",
        description=(
            "Pushes the reset button, and again as soon as the kernel starts anew. Restarts that overlap "
            "must end in one good boot, and the console must tell both."
        ),
        steps=(Reach(stage=Stage.LOGIN), PUSH, PUSH, *_BACK),
        tags=_RESET,
    ),
    Scenario(
        name="reset-reboot",
        title="The guest's own reboot comes back to a shell",
        description=(
            "Types reboot. The guest ends its processes, says so on the console, restarts the machine and "
            "comes back to a shell: the gentle counterpart of the reset button."
        ),
        steps=(
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
        ),
        tags=_RESET,
    ),
    Scenario(
        name="reset-halted",
        title="A guest that was halted is brought back by reset",
        description=(
            "Types halt: the guest stops with the power on, as a server does after a wrong command. No "
            "request reaches it any more, but the reset button does."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Send(line="halt"),
            Expect(effects=(phrases.line("reboot: System halted", "the guest halts"),)),
            PUSH,
            *_BACK,
        ),
        tags=_RESET | {"power"},
    ),
)
