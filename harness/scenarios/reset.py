"""The reset button, and the guest's own restart."""

from __future__ import annotations

from harness.scenario.scenario import Alive, Expect, Inject, Reach, Scenario, Send, Severity, Step
from harness.scenario.stages import Stage
from harness.scenario.stimulus import Button, Press
from harness.scenarios import phrases

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
