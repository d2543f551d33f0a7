"""The console under load: floods of output, long input, kernel text in the middle of lines."""

from __future__ import annotations

from harness.scenario.scenario import Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Reach, Run, Send, Shows, View
from harness.scenario.stimulus import Nmi, SysRq
from harness.scenarios import phrases
from harness.scenarios.power import PUSH

_CONSOLE = frozenset({"console"})
_FLOOD = _CONSOLE | {"flood"}
_POUR = Send(line="yes flood")
_POURS = Expect(effects=(Shows(pattern=r"(flood\r?\n){100}", says="the console is flooded"),))
_WORD = "0123456789abcdef"
_LONG = _WORD * 40
"""640 characters: eight lines of the terminal, forty times what a UART's FIFO holds."""

SCENARIOS = (
    scenario(
        "console-long-line",
        "A long command typed on the console arrives complete",
        "Types a command of 700 characters, as fast as its echo comes back, and lets the guest count and "
        "check what has arrived. A serial port drops what comes too fast, and a pasted command then does "
        "something other than it says.",
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
        severity=Severity.CRITICAL,
        tags=_CONSOLE,
    ),
    scenario(
        "console-spliced-line",
        "A kernel record in the middle of a line does not break the line",
        "Makes the kernel print a record in the middle of a line that the guest is printing, and puts the "
        "line together again. On every busy server, the output of commands is cut up like this.",
        Reach(stage=Stage.SHELL),
        Run(
            command="printf spl; sleep 1; echo a record > /dev/kmsg; echo iced-$((6*7))",
            shows=Shows(pattern=r"spliced-42\r?\n", says="the line, rejoined", view=View.USER),
        ),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_CONSOLE | {"splice"},
    ),
    scenario(
        "console-kernel-flood",
        "Kernel messages do not hide the output of commands",
        "Makes the kernel print 200 records while commands run. The commands' output must be found among "
        "them, and the shell must still answer afterwards: servers in trouble never stop talking.",
        Reach(stage=Stage.SHELL),
        Run(command=("(for i in $(seq 200); do echo record $i > /dev/kmsg; usleep 5000; done) &")),
        Run(command="echo $((123*457))", shows=Shows(pattern=r"56211\r?\n", says="the right number")),
        Alive(),
        Expect(effects=(phrases.line("record 200\r", "the last record is printed"),)),
        Alive(),
        tags=_CONSOLE | {"splice"},
    ),
    scenario(
        "flood-sysrq",
        "A system request gets through a flooded console",
        "Floods the console from a shell and sends BREAK and h. The kernel must take the request and its "
        "list must be found in the flood; i then ends the flood, and logging in works again.",
        Reach(stage=Stage.SHELL),
        _POUR,
        _POURS,
        phrases.SHOW_HELP,
        Inject(
            stimulus=SysRq(key="i"),
            effects=(
                phrases.line("sysrq: Kill All Tasks", "the kernel kills the flood"),
                phrases.LOGIN_AGAIN,
            ),
            attempts=phrases.ATTEMPTS,
        ),
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_FLOOD | {"sysrq"},
        kernel_args=(phrases.FREE_SYSRQ,),
    ),
    scenario(
        "flood-nmi",
        "NMI on a flooded console: the panic is read whole",
        "Floods the console from a shell and sends an NMI to a guest told to panic on one. The whole panic "
        "must be found in the flood, without a byte lost.",
        Reach(stage=Stage.SHELL),
        _POUR,
        _POURS,
        Inject(
            stimulus=Nmi(),
            effects=phrases.NMI_PANIC,
            allows=phrases.NMI | phrases.PANIC,
        ),
        severity=Severity.CRITICAL,
        tags=_FLOOD | {"nmi", "panic"},
        kernel_args=(
            "unknown_nmi_panic=1",
            "sysctl.kernel.panic_on_unrecovered_nmi=1",
            phrases.HALT_ON_PANIC,
        ),
    ),
    scenario(
        "flood-reset",
        "Reset under a flooded console starts a clean boot",
        "Floods the console from a shell and pushes the reset button. The flood must end, the new boot must "
        "be seen from its start, and logging in must work.",
        Reach(stage=Stage.SHELL),
        _POUR,
        _POURS,
        PUSH,
        Reach(stage=Stage.SHELL),
        Alive(),
        severity=Severity.CRITICAL,
        tags=_FLOOD | {"reset"},
    ),
)
