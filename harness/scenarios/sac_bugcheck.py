"""SAC guests that stop with a bugcheck or fail on purpose: dumps, auto-reboot, `!SAC>`, hangs."""

from __future__ import annotations

from emulator.sac.knobs import DumpKind, Hang, SacKnobs
from harness.scenario.stages import Stage
from harness.scenario.steps import (
    Alive,
    Ask,
    CheckDump,
    Expect,
    Inject,
    Keys,
    Outcome,
    Reach,
    Run,
    Send,
    Step,
)
from harness.scenario.stimulus import Button, Nmi, Press
from harness.scenarios import sac_phrases as say
from harness.scenarios.phrases import RESET, RESET_BUTTON, RESTARTS

_UP: tuple[Step, ...] = (Reach(stage=Stage.CMD), Alive())
_CRASHDUMP = Expect(effects=(*say.bugcheck("0xE2"), RESTARTS), allows=say.CRASHES | RESET)
_LOGGED = say.line("rebooted from a bugcheck", "event 1001")
_RESTART = (Keys(keys="restart\r", says="restart and Enter"), Expect(effects=(RESTARTS,), allows=RESET))


SCENARIOS = (
    say.scenario(
        "dump-nmi",
        *say.PROMPT,
        CheckDump(code=None),
        say.NMI,
        Reach(stage=Stage.CMD),
        CheckDump(code=0x80),
        Reach(stage=Stage.SHELL),
        Run(command="wevtutil qe System", shows=_LOGGED),
        Alive(),
    ),
    say.scenario(
        "dump-crashdump",
        *say.PROMPT,
        Send(line="crashdump"),
        _CRASHDUMP,
        Reach(stage=Stage.CMD),
        CheckDump(code=0xE2),
        Alive(),
    ),
    say.scenario(
        "crashdump-off",
        *say.PROMPT,
        Ask(command="crashdump", shows=(say.line("SAC failed to crashdump", "that it failed"),)),
        CheckDump(code=None),
        Alive(),
        knobs=SacKnobs(crash_dump=DumpKind.NONE),
    ),
    say.scenario(
        "crash-waits",
        *say.PROMPT,
        say.NMI_STAYS,
        Keys(keys="help\r", says="help and Enter"),
        Expect(effects=(say.line("restart +Restart the system", "what it knows"),)),
        Keys(keys="what\r", says="what and Enter"),
        Expect(effects=(say.line("Type . or Help for a list of commands", "the refusal"),)),
        *_RESTART,
        *_UP,
        knobs=SacKnobs(autoreboot=False),
    ),
    say.scenario(
        "crash-module",
        *say.PROMPT,
        Inject(
            stimulus=Nmi(),
            effects=(say.bugcheck("0x80")[0], say.line(r"myfault\.sys", "the driver"), say.DUMPED, RESTARTS),
            allows=say.CRASHES | RESET,
        ),
        *_UP,
        knobs=SacKnobs(module="myfault.sys"),
    ),
    say.scenario(
        "nmi-ignored",
        *say.PROMPT,
        Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=(say.bugcheck("0x80")[0],)),
        Alive(),
        knobs=SacKnobs(hang=Hang.NMI_IGNORED),
    ),
    say.scenario(
        "dump-stuck",
        *say.PROMPT,
        Inject(
            stimulus=Nmi(),
            effects=(say.bugcheck("0x80")[0], say.line("(?:15% complete|disk: +15)", "15 %")),
            allows=say.CRASHES,
        ),
        RESET_BUTTON,
        *_UP,
        knobs=SacKnobs(hang=Hang.STUCK_DUMP),
    ),
    say.scenario(
        "power-button-ignored",
        *say.PROMPT,
        Inject(
            stimulus=Press(button=Button.POWER_BUTTON), outcome=Outcome.NO_EFFECT, unless=(say.GOES_DOWN,)
        ),
        Alive(),
        say.CUT,
        knobs=SacKnobs(hang=Hang.POWER_BUTTON_IGNORED),
    ),
    say.scenario(
        "boot-loop",
        *(Expect(effects=(say.SAC_STARTS, RESTARTS), allows=RESET) for _ in range(3)),
        Reach(stage=Stage.KERNEL),
        say.CUT,
        knobs=SacKnobs(hang=Hang.BOOT_LOOP),
    ),
    say.scenario(
        "recovery",
        Expect(effects=(say.line("It looks like Windows didn't load correctly", "the recovery menu"),)),
        say.CUT,
        knobs=SacKnobs(hang=Hang.RECOVERY),
    ),
    say.scenario(
        "ems-off",
        Expect(effects=(say.line("Azure VM Health Report - End", "the health report"),)),
        say.CUT,
        knobs=SacKnobs(hang=Hang.EMS_OFF),
    ),
)
