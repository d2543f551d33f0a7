"""SAC guests that stop with a bugcheck or fail on purpose: dumps, auto-reboot, `!SAC>`, hangs."""

from __future__ import annotations

from emulator.sac.knobs import DumpKind, Hang, SacKnobs
from harness.scenario.scenario import Scenario, Severity
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

_DEFAULT = SacKnobs()
_UP: tuple[Step, ...] = (Reach(stage=Stage.CMD), Alive())
_CRASHDUMP = Expect(effects=(*say.bugcheck("0xE2"), RESTARTS), allows=say.CRASHES | RESET)
_LOGGED = say.line("rebooted from a bugcheck", "event 1001")
_RESTART = (Keys(keys="restart\r", says="restart and Enter"), Expect(effects=(RESTARTS,), allows=RESET))


def _crash(
    name: str, title: str, description: str, *steps: Step, knobs: SacKnobs = _DEFAULT, tags: str = "panic"
) -> Scenario:
    return say.scenario(
        name,
        title,
        description,
        *steps,
        severity=Severity.CRITICAL if "dump" in name else Severity.NORMAL,
        tag=tags,
        modules=say.KNOBS,
        knobs=knobs,
    )


SCENARIOS = (
    _crash(
        "dump-nmi",
        "An NMI leaves a crash dump that the host can read",
        "Sends an NMI; the guest stops with bugcheck 0x80, dumps and restarts. Then the host reads the dump "
        "on the guest's disk, and the guest's event log must name it: this is what the NMI button is for.",
        *say.PROMPT,
        CheckDump(code=None),
        say.NMI,
        Reach(stage=Stage.CMD),
        CheckDump(code=0x80),
        Reach(stage=Stage.SHELL),
        Run(command="wevtutil qe System", shows=_LOGGED),
        Alive(),
    ),
    _crash(
        "dump-crashdump",
        "`crashdump` leaves a crash dump that the host can read",
        "Gives SAC's `crashdump`; the guest stops with bugcheck 0xE2, dumps and restarts, and the host "
        "reads the dump on its disk. This is the way to a dump without an NMI button.",
        *say.PROMPT,
        Send(line="crashdump"),
        _CRASHDUMP,
        Reach(stage=Stage.CMD),
        CheckDump(code=0xE2),
        Alive(),
    ),
    _crash(
        "crashdump-off",
        "`crashdump` is refused where no dump is configured",
        "Gives SAC's `crashdump` to a guest that has crash dumps switched off: it must say that this "
        "failed, run on, and leave no dump on its disk.",
        *say.PROMPT,
        Ask(command="crashdump", shows=(say.line("SAC failed to crashdump", "that it failed"),)),
        CheckDump(code=None),
        Alive(),
        knobs=SacKnobs(crash_dump=DumpKind.NONE),
    ),
    _crash(
        "crash-waits",
        "A guest without auto-reboot waits at !SAC> and restarts when told",
        "Sends an NMI to a guest with AutoReboot=0. It must dump, wait at !SAC>, answer `help`, refuse "
        "unknown commands, and restart only on `restart`.",
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
    _crash(
        "crash-module",
        "A bugcheck names the driver that it blames",
        "Sends an NMI to a guest that blames a driver. The driver's name must appear between the name of "
        "the bugcheck and its parameters.",
        *say.PROMPT,
        Inject(
            stimulus=Nmi(),
            effects=(say.bugcheck("0x80")[0], say.line(r"myfault\.sys", "the driver"), say.DUMPED, RESTARTS),
            allows=say.CRASHES | RESET,
        ),
        *_UP,
        knobs=SacKnobs(module="myfault.sys"),
    ),
    _crash(
        "nmi-ignored",
        "A guest that an NMI does not reach runs on, and this is noticed",
        "Sends an NMI to a guest whose processor masks it. Nothing may happen, and SAC must still answer: "
        "that the machine accepts the button proves nothing.",
        *say.PROMPT,
        Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=(say.bugcheck("0x80")[0],)),
        Alive(),
        knobs=SacKnobs(hang=Hang.NMI_IGNORED),
        tags="nmi",
    ),
    _crash(
        "dump-stuck",
        "A dump that hangs is ended by reset",
        "Sends an NMI to a guest whose dump stops at 15 %. The console must show how far it came; reset "
        "brings the guest back, as it does after every hang.",
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
    _crash(
        "power-button-ignored",
        "A SAC guest that ignores the power button runs on, and this is noticed",
        "Pushes the power button of a guest that ignores it. Nothing may happen, and SAC must still answer; "
        "then the power is cut, which the guest can't ignore.",
        *say.PROMPT,
        Inject(
            stimulus=Press(button=Button.POWER_BUTTON), outcome=Outcome.NO_EFFECT, unless=(say.GOES_DOWN,)
        ),
        Alive(),
        say.CUT,
        knobs=SacKnobs(hang=Hang.POWER_BUTTON_IGNORED),
        tags="power",
    ),
    _crash(
        "boot-loop",
        "A SAC guest that restarts again and again is not mistaken for one that boots",
        "Uses a guest that restarts as soon as it has shown SAC's banner. Three restarts must be seen, each "
        "with its own machine-info; a driver that goes by the banner alone would call this a boot.",
        *(Expect(effects=(say.SAC_STARTS, RESTARTS), allows=RESET) for _ in range(3)),
        Reach(stage=Stage.KERNEL),
        say.CUT,
        knobs=SacKnobs(hang=Hang.BOOT_LOOP),
        tags="reset",
    ),
    *(
        _crash(
            name,
            title,
            description + " The driver must recognise this from the text, not by waiting for a prompt that "
            "never comes.",
            Expect(effects=(say.line(text, says),)),
            say.CUT,
            knobs=SacKnobs(hang=hang),
            tags="boot",
        )
        for name, title, description, text, says, hang in (
            (
                "recovery",
                "A guest that stops in its recovery menu shows it",
                "Uses a guest that did not load and asks what to do, as happens after unclean resets.",
                "It looks like Windows didn't load correctly",
                "the recovery menu",
                Hang.RECOVERY,
            ),
            (
                "ems-off",
                "A guest without EMS shows Azure's health report instead of SAC",
                "Uses a guest whose EMS is off, where Azure's images report their health and take no input.",
                "Azure VM Health Report - End",
                "the health report",
                Hang.EMS_OFF,
            ),
        )
    ),
)
