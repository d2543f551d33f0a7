"""The power and reset buttons, power cut and given by force, and the guest's own poweroff and reboot."""

from __future__ import annotations

from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Send, Shows
from harness.scenario.stimulus import Button, Press
from harness.scenarios import phrases
from harness.scenarios.words import told

_OBEYED = Inject(
    stimulus=Press(button=Button.POWER_BUTTON),
    effects=(
        Shows(
            # ttylab's guest, systemd, an init that asks acpid; or, of a quiet guest, only the end itself
            pattern=r"(?=reboot: Power down)|"
            r"(?:ttylab: power button pressed|Power key pressed|Stopp(?:ed|ing) |system is going down)"
            r"[^\n]*\n",
            says="the guest takes the button",
        ),
        phrases.POWERS_DOWN,
        phrases.SHUTS_DOWN,
        phrases.SWITCHES_OFF,
    ),
    within_s=40.0,
    allows=phrases.OFF,
)
_CUT = Inject(stimulus=Press(button=Button.POWER_OFF), effects=(phrases.SWITCHES_OFF,), allows=phrases.OFF)
_GIVE = Inject(stimulus=Press(button=Button.POWER_ON), effects=(phrases.KERNEL_STARTS,), within_s=90.0)


PUSH = Inject(
    stimulus=Press(button=Button.RESET),
    effects=(phrases.RESTARTS, phrases.KERNEL_STARTS),
    within_s=90.0,
    allows=phrases.RESET,
)

SCENARIOS = (
    told("power-button", Reach(stage=Stage.SHELL), _OBEYED),
    told("power-button-on", Reach(stage=Stage.SHELL), _OBEYED, _GIVE, *phrases.UP),
    told(
        "power-button-ignored",
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
    told("power-cycle", Reach(stage=Stage.SHELL), _CUT, _GIVE, *phrases.UP),
    told("power-cycle-boot", Reach(stage=Stage.KERNEL), _CUT, _GIVE, *phrases.UP),
    told(
        "power-cycle-panicked",
        Reach(stage=Stage.SHELL),
        phrases.request("c", *phrases.CRASH, allows=phrases.PANIC),
        _CUT,
        _GIVE,
        *phrases.UP,
    ),
    told(
        "power-command",
        Reach(stage=Stage.SHELL),
        Send(line="poweroff"),
        Expect(
            effects=(phrases.POWERS_DOWN, phrases.SHUTS_DOWN, phrases.SWITCHES_OFF),
            within_s=40.0,
            allows=phrases.OFF,
        ),
    ),
    told("reset-login", Reach(stage=Stage.LOGIN), PUSH, *phrases.UP),
    told("reset-shell", Reach(stage=Stage.SHELL), Send(line="sleep 1000"), PUSH, *phrases.UP),
    told("reset-boot", Reach(stage=Stage.KERNEL), PUSH, *phrases.UP),
    told("reset-twice", Reach(stage=Stage.LOGIN), PUSH, PUSH, *phrases.UP),
    told(
        "reset-reboot",
        Reach(stage=Stage.SHELL),
        Send(line="reboot"),
        Expect(
            effects=(
                phrases.line("reboot: Restarting system", "the kernel restarts the machine"),
                phrases.RESTARTS,
            ),
            allows=phrases.RESET,
        ),
        *phrases.UP,
    ),
    told(
        "reset-halted",
        Reach(stage=Stage.SHELL),
        Send(line="halt"),
        Expect(effects=(phrases.line("reboot: System halted", "the guest halts"),), allows=phrases.HALTED),
        PUSH,
        *phrases.UP,
    ),
)
