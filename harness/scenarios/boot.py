"""Boots: to a login prompt and a shell."""

from __future__ import annotations

from harness.scenario import Alive, Reach, Run, Scenario, Severity, Shows
from harness.stages import Stage

SCENARIOS = (
    Scenario(
        name="boot-login",
        title="Boot to the login prompt and log in",
        description=(
            "Powers the machine on, waits for the login prompt on ttyS0, logs in with name and password and "
            "runs a command. A server that has lost its network is reached over this line alone: if this "
            "fails, nothing else on the console is worth trying."
        ),
        steps=(
            Reach(stage=Stage.LOGIN),
            Reach(stage=Stage.SHELL),
            Run(command="tty", shows=Shows(pattern=r"/dev/ttyS0\r?\n", says="the shell's terminal is ttyS0")),
            Alive(),
        ),
        severity=Severity.BLOCKER,
        tags=frozenset({"boot"}),
    ),
)
