"""Boots and logins: from the kernel's first line to a shell, and boots that can't get there."""

from __future__ import annotations

from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Reach, Run, Send, Shows, View
from harness.scenarios import phrases
from harness.scenarios.words import told

SCENARIOS = (
    told(
        "boot-login",
        Reach(stage=Stage.LOGIN),
        Reach(stage=Stage.SHELL),
        Run(
            command="tty",
            shows=Shows(pattern=rf"/dev/{phrases.CONSOLE}\r?\n", says="the shell's terminal is the console"),
        ),
        Alive(),
    ),
    told(
        "boot-kernel-log",
        Reach(stage=Stage.KERNEL),
        Expect(
            effects=(
                phrases.line(rf"ommand line: [^\n]*console={phrases.CONSOLE}", "the kernel's command line"),
            )
        ),
        Expect(effects=(phrases.line("Run /init as init process", "init is started"),), within_s=90.0),
        *phrases.UP,
    ),
    told(
        "boot-no-init",
        Expect(
            effects=(phrases.panic("VFS: Unable to mount root fs"), phrases.PANIC_WHOLE),
            within_s=90.0,
            allows=phrases.PANIC,
        ),
    ),
    told(
        "boot-init-dies",
        Expect(
            effects=(phrases.panic(r"Attempted to kill init! exitcode=0x00000100"), phrases.PANIC_WHOLE),
            within_s=90.0,
            allows=phrases.PANIC,
        ),
    ),
    told(
        "boot-loop",
        Expect(
            effects=(
                phrases.panic(r"Attempted to kill init!"),
                phrases.REBOOT_COUNTDOWN,
                phrases.RESTARTS,
                phrases.KERNEL_STARTS,
                phrases.panic(r"Attempted to kill init!"),
            ),
            within_s=180.0,
            allows=phrases.PANIC | phrases.RESET,
        ),
    ),
    told(
        "login-refused",
        Reach(stage=Stage.LOGIN),
        Send(line="root"),
        Expect(effects=(Shows(pattern=r"Password: ", says="the password prompt", view=View.USER),)),
        Send(line="not-the-password", echo=False),
        Expect(
            effects=(
                Shows(pattern=r"Login incorrect\r?\n", says="the password is refused", view=View.USER),
                phrases.LOGIN_AGAIN,
            )
        ),
        *phrases.UP,
    ),
    told(
        "login-respawn",
        Reach(stage=Stage.SHELL),
        Send(line="exit"),
        Expect(effects=(phrases.LOGIN_AGAIN,)),
        *phrases.UP,
    ),
    told("login-spliced", Reach(stage=Stage.LOGIN), phrases.SHOW_HELP, *phrases.UP),
)
