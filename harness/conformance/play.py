"""The scenarios that are played on every SAC, by what may be done to it; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Reach, Send, Step, View
from harness.scenario.stimulus import Nmi
from harness.scenarios import find_scenario
from harness.scenarios import sac_phrases as say
from harness.scenarios.phrases import OFF, RESET, RESTARTS, SWITCHES_OFF

_RESTART_S = 150.0
"""SAC may wait until the guest has run for a minute before it restarts (docs/facts/sac.md 1.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A scenario of the course.

    Attributes:
        scenario: what is played.
        section: of docs/facts/sac.md that it is about.
        is_end: whether there is no prompt behind it to come back to.
    """

    scenario: Scenario
    section: str
    is_end: bool = False


def _own(name: str, title: str, description: str, *steps: Step) -> Scenario:
    return Scenario(
        name=f"sac-conformance-{name}",
        title=title,
        description=description,
        steps=steps,
        tags=frozenset({"sac"}),
        guest=GuestKind.SAC,
    )


_UP: tuple[Step, ...] = (Reach(stage=Stage.CMD), Alive())
_GOES = Expect(effects=(say.GOES_DOWN,), within_s=_RESTART_S, allows=RESET | OFF)
_BUGCHECK = say.CRASHES | RESET

RESTART = (
    Check(
        section="1.10",
        scenario=_own(
            "restart",
            "`restart` takes leave and boots again",
            "Gives `restart`: SAC must take its leave, and machine-info must come again.",
            Send(line="restart", allows=RESET),
            _GOES,
            Expect(effects=(RESTARTS,), within_s=_RESTART_S, allows=RESET),
            *_UP,
        ),
    ),
    Check(section="1.7", scenario=find_scenario("sac-channels")),
    Check(section="1.6", scenario=find_scenario("sac-lock")),
)
"""A restart, and what needs a fresh boot and spoils it."""
CRASH = Check(
    section="1.9",
    scenario=_own(
        "crashdump",
        "`crashdump` stops with bugcheck 0xE2 and boots again",
        "Gives `crashdump`: the bugcheck's XML, its prompt, the dump and another boot must be seen.",
        Alive(),
        Send(line="crashdump", allows=_BUGCHECK),
        Expect(effects=(*say.bugcheck("0xE2"), RESTARTS), within_s=_RESTART_S, allows=_BUGCHECK),
        *_UP,
    ),
)
NMI_CRASH = Check(
    section="1.9",
    scenario=_own(
        "nmi",
        "An NMI stops with bugcheck 0x80 and boots again",
        "Sends an NMI: the bugcheck's XML, its prompt, the dump and another boot must be seen.",
        Alive(),
        Inject(
            stimulus=Nmi(),
            effects=(*say.bugcheck("0x80"), RESTARTS),
            within_s=_RESTART_S,
            allows=_BUGCHECK,
        ),
        *_UP,
    ),
)
SHUTDOWN = Check(
    section="1.10",
    scenario=_own(
        "shutdown",
        "`shutdown` takes leave and switches off",
        "Gives `shutdown`: SAC must take its leave, and the power must go.",
        Alive(),
        Send(line="shutdown", allows=OFF),
        Expect(effects=(say.GOES_DOWN, SWITCHES_OFF), within_s=_RESTART_S, allows=OFF),
    ),
    is_end=True,
)
SHUTDOWN_UNSEEN = Check(
    section="1.10",
    scenario=_own(
        "goodbye",
        "`shutdown` takes leave",
        "Gives `shutdown` on a line that does not tell of the power: SAC must take its leave.",
        Alive(),
        Send(line="shutdown", allows=OFF),
        _GOES,
    ),
    is_end=True,
)
REFUSED = Check(section="1.8", scenario=find_scenario("sac-login-refused"))


def pieces(*, is_own: bool, logs_in: bool, has_powershell: bool) -> Iterator[Check]:
    """Give the shipped scenarios that need no knobs, but those that end a boot.

    Args:
        is_own: whether processes, clock and addresses may be changed: it is ttylab's guest.
        logs_in: whether there is an account.
        has_powershell: whether the guest has it.
    """
    yield Check(section="1.6", scenario=find_scenario("sac-help"))
    if is_own:
        for name in ("sac-paging", "sac-kill", "sac-time", "sac-ip"):
            yield Check(section="1.6", scenario=find_scenario(name))
    if logs_in:
        yield Check(section="1.8", scenario=find_scenario("sac-cmd"))
        if has_powershell:
            yield Check(section="1.8", scenario=find_scenario("sac-powershell"))
        yield Check(section="1.7", scenario=find_scenario("sac-late"))


_IDENTITY = rb"Computer GUID: [^\n]*\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRule:
    """One rule of docs/facts/sac.md 1.5, all of which ReactOS is the source of.

    Attributes:
        key: its name.
        says: the rule, for people.
        keys: what is pressed at an empty prompt.
        pattern: what must follow.
        view: on which bytes.
        prompts: how many prompts must follow in all; None is not asked.
    """

    key: str
    says: str
    keys: bytes
    pattern: bytes = _IDENTITY
    view: View = View.PLAIN
    prompts: int | None = None


RULES = (
    InputRule(key="rule.backspace", says="BS erases: i x BS d is `id`", keys=b"ix\x08d\r"),
    InputRule(key="rule.delete", says="DEL erases: i x DEL d is `id`", keys=b"ix\x7fd\r"),
    InputRule(key="rule.case", says="case does not matter: ID is `id`", keys=b"ID\r"),
    InputRule(key="rule.blanks", says="blanks around a command do not matter", keys=b"  id  \r"),
    InputRule(key="rule.line_feed", says="LF ends a line as CR does", keys=b"id\n"),
    InputRule(key="rule.ctrl_c", says="Ctrl-C ends a line as CR does", keys=b"id\x03"),
    InputRule(
        key="rule.cr_lf", says="an LF right after a CR is swallowed", keys=b"\r\n", pattern=b"SAC>", prompts=1
    ),
    InputRule(key="rule.tab", says="TAB gives a BEL", keys=b"\t", pattern=b"\x07", view=View.RAW),
    InputRule(
        key="rule.prefix",
        says="a longer word is the command that it begins with: `paging` is `p`",
        keys=b"paging\rpaging\r",
        pattern=rb"Paging is now (?:ON|OFF)\.\r\n",
    ),
    InputRule(
        key="rule.line_limit",
        says="past column 78 the last character is overwritten",
        keys=b"x" * 78 + b"y",
        pattern=b"x\x08y",
        view=View.RAW,
    ),
)
