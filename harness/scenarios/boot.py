"""Boots and logins: from the kernel's first line to a shell, and boots that can't get there."""

from __future__ import annotations

from harness.scenario.scenario import Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Reach, Run, Send, Shows, View
from harness.scenarios import phrases

_BOOT = frozenset({"boot"})
_LOGIN = frozenset({"login"})

SCENARIOS = (
    scenario(
        "boot-login",
        "Boot to the login prompt and log in",
        "Powers the machine on, waits for the login prompt on ttyS0, logs in with name and password and "
        "runs a command. A server that has lost its network is reached over this line alone: if this "
        "fails, nothing else on the console is worth trying.",
        Reach(stage=Stage.LOGIN),
        Reach(stage=Stage.SHELL),
        Run(command="tty", shows=Shows(pattern=r"/dev/ttyS0\r?\n", says="the shell's terminal is ttyS0")),
        Alive(),
        severity=Severity.BLOCKER,
        tags=_BOOT | _LOGIN,
    ),
    scenario(
        "boot-kernel-log",
        "The kernel's log is on the console from its first line",
        "Powers the machine on and reads the kernel's first line, its command line and the start of init "
        "from the console. When a server does not come back after an update, only this text tells why; a "
        "console that connects late misses it.",
        Reach(stage=Stage.KERNEL),
        Expect(effects=(phrases.line(r"Command line: [^\n]*console=ttyS0", "the kernel's command line"),)),
        Expect(effects=(phrases.line("Run /init as init process", "init is started"),), within_s=90.0),
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_BOOT,
    ),
    scenario(
        "boot-no-init",
        "A guest without init panics, and the reason is on the console",
        "Boots with an init that does not exist. The kernel falls back to a root disk that is not there and "
        "panics. The panic and its reason must be seen at once: a login prompt will never come.",
        Expect(
            effects=(phrases.panic("VFS: Unable to mount root fs"), phrases.PANIC_WHOLE),
            within_s=90.0,
            allows=phrases.PANIC,
        ),
        tags=_BOOT | {"panic"},
        kernel_args=("rdinit=/nope", phrases.HALT_ON_PANIC),
    ),
    scenario(
        "boot-init-dies",
        "A guest whose init ends panics, and the exit code is on the console",
        "Boots with an init that ends at once with status 1. The kernel panics and names the exit code. "
        "A broken update often looks like this, and only the serial line shows it.",
        Expect(
            effects=(
                phrases.panic(r"Attempted to kill init! exitcode=0x00000100"),
                phrases.PANIC_WHOLE,
            ),
            within_s=90.0,
            allows=phrases.PANIC,
        ),
        tags=_BOOT | {"panic"},
        kernel_args=("rdinit=/bin/false", phrases.HALT_ON_PANIC),
    ),
    scenario(
        "boot-loop",
        "A guest that panics at every boot and reboots is seen to loop",
        "Boots with an init that ends at once and with panic=1, so that the kernel reboots after each "
        "panic. The console must carry both boots and the restart between them: a boot loop is told from a "
        "slow boot only by its text.",
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
        tags=_BOOT | {"panic", "reset"},
        kernel_args=("rdinit=/bin/false", phrases.REBOOT_ON_PANIC),
    ),
    scenario(
        "login-refused",
        "A wrong password is refused, the right one is then accepted",
        "Types a wrong password at the login prompt, sees it refused, and logs in with the right one at the "
        "prompt that follows. Azure's console needs an account with a password: one mistake must neither "
        "let anyone in nor lock the console for good.",
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
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_LOGIN,
    ),
    scenario(
        "login-respawn",
        "Leaving the shell gives a new login prompt that works",
        "Logs in, leaves the shell, and logs in again at the new prompt that getty shows. On a shared "
        "console the next person must find a login prompt, not a shell that someone else left open.",
        Reach(stage=Stage.SHELL),
        Send(line="exit"),
        Expect(effects=(phrases.LOGIN_AGAIN,)),
        Reach(stage=Stage.SHELL),
        Alive(),
        tags=_LOGIN,
    ),
    scenario(
        "login-spliced",
        "A kernel record in the middle of the login prompt does not prevent a login",
        "Makes the kernel print into the line of the login prompt by a system request, then logs in at that "
        "same prompt. Kernel text in the middle of prompts is what breaks most console scripts.",
        Reach(stage=Stage.LOGIN),
        phrases.SHOW_HELP,
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_LOGIN | {"splice", "sysrq"},
    ),
)
