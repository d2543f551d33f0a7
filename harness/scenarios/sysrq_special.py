"""System requests that stop the guest, are not sent by BREAK, or are forbidden by a mask."""

from __future__ import annotations

from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Run, Send, Shows, View
from harness.scenario.stimulus import Button, Press, SysRq, Via
from harness.scenarios import phrases
from harness.scenarios.phrases import ATTEMPTS
from harness.scenarios.words import told

_TRIGGERED = phrases.line("sysrq: Trigger a crash", "the kernel crashes itself")
_CRASH = (_TRIGGERED, *phrases.CRASH)
_CRASHES = phrases.request("c", *_CRASH, allows=phrases.PANIC)
_REBOOTS = phrases.request(
    "b", phrases.line("sysrq: Resetting", "the kernel resets"), phrases.RESTARTS, allows=phrases.RESET
)
_IGNORED = Inject(stimulus=SysRq(key="h"), outcome=Outcome.NO_EFFECT, unless=(phrases.SYSRQ_ANY,))
_MEMORY = (
    phrases.line("sysrq: Show Memory", "the kernel says: Show Memory"),
    phrases.line("[0-9]+ pages RAM", "the report is printed"),
)
_MEMORY_SHOWN = Shows(pattern=r"Mem-Info:", says="the memory report is printed")
_TYPED = Shows(
    pattern=r"hc: (?:command )?not found\r?\n", says="the keys arrived as if typed", view=View.USER
)
"""With kernel.sysrq=0 the kernel passes the key to the terminal (serial_core.h, uart_handle_sysrq_char)."""
_DISABLED = phrases.line(r"sysrq: This sysrq operation is disabled\.", "the kernel refuses")

SCENARIOS = (
    told("sysrq-crash", Reach(stage=Stage.SHELL), _CRASHES),
    told("sysrq-crash-reset", Reach(stage=Stage.SHELL), _CRASHES, phrases.RESET_BUTTON, *phrases.UP),
    told("sysrq-reboot", Reach(stage=Stage.SHELL), _REBOOTS, *phrases.UP),
    told(
        "sysrq-poweroff",
        Reach(stage=Stage.SHELL),
        phrases.request(
            "o",
            phrases.line("sysrq: Power Off", "the kernel switches off"),
            phrases.POWERS_DOWN,
            phrases.SWITCHES_OFF,
            allows=phrases.OFF,
        ),
        Inject(stimulus=Press(button=Button.POWER_ON), effects=(phrases.KERNEL_STARTS,), within_s=90.0),
        *phrases.UP,
    ),
    told(
        "sysrq-reisub",
        Reach(stage=Stage.SHELL),
        *(
            phrases.request(key, phrases.line(text, f"the kernel says: {text}"))
            for key, text in (
                ("r", "sysrq: Keyboard mode set to system default"),
                ("e", "sysrq: Terminate All Tasks"),
                ("i", "sysrq: Kill All Tasks"),
                ("s", "Emergency Sync complete"),
                ("u", "Emergency Remount complete"),
            )
        ),
        _REBOOTS,
        *phrases.UP,
    ),
    told(
        "sysrq-proc-crash",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="c", via=Via.PROC), effects=_CRASH, allows=phrases.PANIC),
    ),
    told(
        "sysrq-keyboard",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="h", via=Via.KEYBOARD), effects=(phrases.SYSRQ_HELP,), attempts=ATTEMPTS),
        Alive(),
    ),
    told(
        "sysrq-keyboard-sync",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="s", via=Via.KEYBOARD), effects=(phrases.SYNCED,), attempts=ATTEMPTS),
        Alive(),
    ),
    told(
        "sysrq-proc",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="m", via=Via.PROC), effects=_MEMORY),
        Alive(),
    ),
    told(
        "sysrq-masked-all",
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
    ),
    told(
        "sysrq-masked-176",
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key="m"), outcome=Outcome.NO_EFFECT, unless=(_MEMORY_SHOWN,)),
        phrases.request("c", _DISABLED),
        Alive(),
        phrases.request("s", phrases.SYNCED),
        Alive(),
    ),
    told(
        "sysrq-masked-runtime",
        Reach(stage=Stage.SHELL),
        phrases.SHOW_HELP,
        Run(command="sysctl -w kernel.sysrq=0"),
        _IGNORED,
        Send(line=""),  # ends the line that the key was typed into
        Run(command="sysctl -w kernel.sysrq=1"),
        phrases.SHOW_HELP,
        Alive(),
    ),
)
