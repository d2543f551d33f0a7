"""What several scenarios for SAC guests share; the same for every release.

The texts are those of emulator/sac/profiles, read without escape sequences. Patterns end in something that
the guest is certain to send (docs/facts/parts.md 2).
"""

from __future__ import annotations

from emulator.sac.knobs import SacKnobs
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Expect, Inject, Reach, Shows, Step, View
from harness.scenario.stimulus import Button, Nmi, Press
from harness.scenarios.phrases import LINE_END, OFF, RESET, RESTARTS, SHUTS_DOWN, SWITCHES_OFF
from harness.scenarios.words import told

_DEFAULT = SacKnobs()
KNOBS = frozenset({"has_knobs"})
"""Feature that a scenario needs to set the guest up in its own way; real Windows has no knobs."""
CRASHES = frozenset({"bugcheck", "sac-crash-prompt"})
ENTER, ESCAPE, UP, DOWN, F8 = "\r", "\x1b", "\x1b[A", "\x1b[B", "\x1b8"


def scenario(name: str, *steps: Step, knobs: SacKnobs = _DEFAULT) -> Scenario:
    """Return a scenario for a SAC guest; its name gets "sac-" in front. One with `knobs` needs `KNOBS`."""
    return told(f"sac-{name}", *steps, guest=GuestKind.SAC, knobs=knobs)


def line(text: str, says: str) -> Shows:
    """Expect a line that matches the regular expression `text`, up to its end."""
    return Shows(pattern=text + LINE_END, says=says, view=View.PLAIN)


def bugcheck(code: str) -> tuple[Shows, ...]:
    """Expect a bugcheck: the XML with its code, the prompt, the end of the dump."""
    return (
        line(f'<VALUE>"{code}"</VALUE>', f"bugcheck {code} as XML"),
        line("!SAC>", "the prompt after a bugcheck"),
        DUMPED,
    )


DUMPED = line(r"(?:100% complete|memory to disk: +100)", "the dump is complete")
SAC_STARTS = line("<machine-info>", "SAC starts anew and says what the machine is")
MENU_SHOWS = line("(?:Choose an operating system|Please select the operating system)", "the boot menu")
GOES_DOWN = line("The SAC will become unavailable soon", "SAC says that it is going away")
CHANNEL_CLOSED = line("EVENT: +A channel has been closed", "a channel is closed")

NMI = Inject(stimulus=Nmi(), effects=(*bugcheck("0x80"), RESTARTS), allows=CRASHES | RESET)
NMI_STAYS = Inject(stimulus=Nmi(), effects=bugcheck("0x80"), allows=CRASHES)

CUT = Inject(stimulus=Press(button=Button.POWER_OFF), effects=(SWITCHES_OFF,), allows=OFF)
GIVE = Inject(stimulus=Press(button=Button.POWER_ON), effects=(SAC_STARTS,))
GIVE_MENU = Inject(stimulus=Press(button=Button.POWER_ON), effects=(MENU_SHOWS,))
ENDS = Expect(effects=(GOES_DOWN, SHUTS_DOWN, SWITCHES_OFF), allows=OFF)
PROMPT: tuple[Step, ...] = (Reach(stage=Stage.CMD),)
