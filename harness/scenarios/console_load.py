"""The console under load: floods of output, long input, kernel text in the middle of lines."""

from __future__ import annotations

from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Reach, Run, Send, Shows, View
from harness.scenario.stimulus import Nmi
from harness.scenarios import phrases
from harness.scenarios.power import PUSH
from harness.scenarios.words import told

_POUR = Send(line="yes flood")
_POURS = Expect(effects=(Shows(pattern=r"(flood\r?\n){100}", says="the console is flooded"),))
_WORD = "0123456789abcdef"
_LONG = _WORD * 40
"""640 characters: eight lines of the terminal, forty times what a UART's FIFO holds."""

SCENARIOS = (
    told(
        "console-long-line",
        Reach(stage=Stage.SHELL),
        Run(
            command=f"echo {_LONG} | tee /tmp/long | wc -c",
            shows=Shows(pattern=r"(^|\n)641\r?\n", says="641 bytes have arrived"),
        ),
        Run(
            command=f"sed 's/{_WORD}//g' /tmp/long | wc -c",
            shows=Shows(pattern=r"(^|\n)1\r?\n", says="none of them is wrong"),
        ),
        Alive(),
    ),
    told(
        "console-spliced-line",
        Reach(stage=Stage.SHELL),
        Run(
            command="printf spl; sleep 1; echo a record > /dev/kmsg; echo iced-$((6*7))",
            shows=Shows(pattern=r"spliced-42\r?\n", says="the line, rejoined", view=View.USER),
        ),
        Alive(),
    ),
    told(
        "console-kernel-flood",
        Reach(stage=Stage.SHELL),
        Run(command=("(for i in $(seq 200); do echo record $i > /dev/kmsg; usleep 5000; done) &")),
        Run(command="echo $((123*457))", shows=Shows(pattern=r"56211\r?\n", says="the right number")),
        Alive(),
        Expect(effects=(phrases.line("record 200\r", "the last record is printed"),)),
        Alive(),
    ),
    told(
        "flood-sysrq",
        Reach(stage=Stage.SHELL),
        _POUR,
        _POURS,
        phrases.SHOW_HELP,
        phrases.request(
            "i", phrases.line("sysrq: Kill All Tasks", "the kernel kills the flood"), phrases.LOGIN_AGAIN
        ),
        *phrases.UP,
    ),
    told(
        "flood-nmi",
        Reach(stage=Stage.SHELL),
        _POUR,
        _POURS,
        Inject(stimulus=Nmi(), effects=phrases.NMI_PANIC, allows=phrases.NMI | phrases.PANIC),
    ),
    told("flood-reset", Reach(stage=Stage.SHELL), _POUR, _POURS, PUSH, *phrases.UP),
)
