"""System requests that stop the guest, are not sent by BREAK, or are forbidden by a mask."""

from __future__ import annotations

from emulator.machine.control import Capability
from harness.scenario.scenario import Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Run, Send, Shows, View
from harness.scenario.stimulus import Button, Press, SysRq, Via
from harness.scenarios import phrases
from harness.scenarios.phrases import ATTEMPTS

_SYSRQ = frozenset({"sysrq"})
_TRIGGERED = phrases.line("sysrq: Trigger a crash", "the kernel crashes itself")
_CRASH = (_TRIGGERED, *phrases.CRASH)
_CRASHES = Inject(stimulus=SysRq(key="c"), effects=_CRASH, attempts=ATTEMPTS, allows=phrases.PANIC)
_REBOOTS = Inject(
    stimulus=SysRq(key="b"),
    effects=(phrases.line("sysrq: Resetting", "the kernel resets"), phrases.RESTARTS),
    attempts=ATTEMPTS,
    allows=phrases.RESET,
)
_IGNORED = Inject(stimulus=SysRq(key="h"), outcome=Outcome.NO_EFFECT, unless=(phrases.SYSRQ_ANY,))
_MEMORY = (
    phrases.line("sysrq: Show Memory", "the kernel says: Show Memory"),
    phrases.line("[0-9]+ pages RAM", "the report is printed"),
)
_MEMORY_SHOWN = Shows(pattern=r"Mem-Info:", says="the memory report is printed")
_TYPED = Shows(pattern=r"hc: not found\r?\n", says="the keys arrived as if typed", view=View.USER)
"""With kernel.sysrq=0 the kernel passes the key to the terminal (serial_core.h, uart_handle_sysrq_char)."""
_DISABLED = phrases.line(r"sysrq: This sysrq operation is disabled\.", "the kernel refuses")

SCENARIOS = (
    scenario(
        "sysrq-crash",
        "BREAK + c makes the kernel panic, and the panic is read whole",
        "Sends c, which crashes the kernel on purpose. With a crash kernel installed this saves a dump of a "
        "server whose trouble can't be understood otherwise.",
        Reach(stage=Stage.SHELL),
        _CRASHES,
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"panic"},
        kernel_args=(phrases.FREE_SYSRQ, phrases.HALT_ON_PANIC),
    ),
    scenario(
        "sysrq-crash-reset",
        "A guest that has panicked is brought back by reset",
        "Crashes the kernel by BREAK and c, with no reboot after a panic, then pushes the reset button and "
        "logs in. A dead server must come back without anyone near it.",
        Reach(stage=Stage.SHELL),
        _CRASHES,
        phrases.RESET_BUTTON,
        Reach(stage=Stage.SHELL),
        Alive(),
        tags=_SYSRQ | {"panic", "reset"},
        kernel_args=(phrases.FREE_SYSRQ, phrases.HALT_ON_PANIC),
    ),
    scenario(
        "sysrq-reboot",
        "BREAK + b restarts the machine at once",
        "Sends b: the kernel restarts the machine without asking any process or writing any data, and the "
        "guest comes back to a shell. It is the last step of an emergency reboot over the serial line.",
        Reach(stage=Stage.SHELL),
        _REBOOTS,
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"reset"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
    scenario(
        "sysrq-poweroff",
        "BREAK + o switches the machine off, and it can be switched on again",
        "Sends o: the kernel switches the machine off without asking any process. Power is then restored, "
        "and the guest comes back.",
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
        tags=_SYSRQ | {"power"},
        kernel_args=(phrases.FREE_SYSRQ,),
        requires=frozenset({Capability.SOFT_OFF}),
    ),
    scenario(
        "sysrq-reisub",
        "The six requests R E I S U B reboot a hung guest cleanly",
        "Sends r, e, i, s, u and b, each once the one before shows: keyboard, terminate, kill, sync, "
        "remount, reboot. This is the textbook cure for a hung Linux, typed over a serial line.",
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
        _REBOOTS,
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"reset"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
    scenario(
        "sysrq-proc-crash",
        "c written to /proc/sysrq-trigger makes the kernel panic",
        "Types the request into a root shell instead of sending a BREAK. This is the way for lines that "
        "can't carry a BREAK, as with some gateways.",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="c", via=Via.PROC), effects=_CRASH, allows=phrases.PANIC),
        tags=_SYSRQ | {"panic"},
        kernel_args=(phrases.HALT_ON_PANIC,),
    ),
    scenario(
        "sysrq-keyboard",
        "Alt + SysRq + h on the keyboard prints the list of system requests",
        "Presses the keys on the machine's keyboard and reads the answer on the serial console. This is the "
        "way with a remote screen and keyboard; console and keyboard must reach the same kernel.",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="h", via=Via.KEYBOARD), effects=(phrases.SYSRQ_HELP,), attempts=ATTEMPTS),
        Alive(),
        tags=_SYSRQ | {"keyboard"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
    scenario(
        "sysrq-keyboard-sync",
        "Alt + SysRq + s on the keyboard writes all data to the disks",
        "Presses the keys on the machine's keyboard and sees on the serial console that the emergency sync "
        "is complete: a request that does something, not only prints a text.",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="s", via=Via.KEYBOARD), effects=(phrases.SYNCED,), attempts=ATTEMPTS),
        Alive(),
        tags=_SYSRQ | {"keyboard"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
    scenario(
        "sysrq-proc",
        "m written to /proc/sysrq-trigger shows the use of memory",
        "Types the request into a root shell and reads the report on the same console. The kernel's answer "
        "must not depend on how the request reaches it.",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="m", via=Via.PROC), effects=_MEMORY),
        Alive(),
        tags=_SYSRQ,
    ),
    scenario(
        "sysrq-masked-all",
        "With kernel.sysrq=0 a BREAK and its key change nothing",
        "Forbids all requests, sends BREAK and h, then BREAK and c: no text from the kernel, no crash; both "
        "keys reach the shell as if typed. Written to /proc, the same request still works, since root may "
        "do anything. Many hardened servers are set up like this, and the test must notice that nothing "
        "happens.",
        Reach(stage=Stage.SHELL),
        _IGNORED,
        Inject(
            stimulus=SysRq(key="c"),
            outcome=Outcome.NO_EFFECT,
            unless=(phrases.SYSRQ_ANY, Shows(pattern=r"Kernel panic", says="the kernel panics")),
        ),
        Send(line=""),
        Expect(effects=(_TYPED,)),
        Alive(),
        Inject(stimulus=SysRq(key="h", via=Via.PROC), effects=(phrases.SYSRQ_HELP,)),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"masked"},
        kernel_args=("sysctl.kernel.sysrq=0",),
    ),
    scenario(
        "sysrq-masked-176",
        "With kernel.sysrq=176 only sync, remount and reboot are obeyed",
        "Sets the mask that Ubuntu ships: sync (16), remount (32) and reboot (128). m must show no memory "
        "report and c must not crash, each answered with a refusal, while s is obeyed. The mask decides "
        "what an operator can still do over the line.",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="m"), outcome=Outcome.NO_EFFECT, unless=(_MEMORY_SHOWN,)),
        Inject(stimulus=SysRq(key="c"), effects=(_DISABLED,), attempts=ATTEMPTS),
        Alive(),
        Inject(stimulus=SysRq(key="s"), effects=(phrases.SYNCED,), attempts=ATTEMPTS),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_SYSRQ | {"masked"},
        kernel_args=("sysctl.kernel.sysrq=176",),
    ),
    scenario(
        "sysrq-masked-runtime",
        "A mask set in the running guest applies from the next request on",
        "Reads the help by BREAK, forbids requests by sysctl, sends the same BREAK and key in vain, and "
        "allows requests again. The setting must take effect at once in both directions.",
        Reach(stage=Stage.SHELL),
        phrases.SHOW_HELP,
        Run(command="sysctl -w kernel.sysrq=0"),
        _IGNORED,
        Send(line=""),  # ends the line that the key was typed into
        Run(command="sysctl -w kernel.sysrq=1"),
        phrases.SHOW_HELP,
        Alive(),
        tags=_SYSRQ | {"masked"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
)
