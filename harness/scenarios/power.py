"""The power button, and power cut and given by force."""

from __future__ import annotations

from emulator.machine.control import Capability
from harness.scenario.scenario import (
    Alive,
    Expect,
    Inject,
    Outcome,
    Reach,
    Scenario,
    Send,
    Severity,
    Shows,
    Step,
)
from harness.scenario.stages import Stage
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
_BACK: tuple[Step, ...] = (_GIVE, Reach(stage=Stage.SHELL), Alive())

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
        steps=(Reach(stage=Stage.SHELL), _OBEYED, *_BACK),
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
        steps=(Reach(stage=Stage.SHELL), _CUT, *_BACK),
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
        steps=(Reach(stage=Stage.KERNEL), _CUT, *_BACK),
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
)
