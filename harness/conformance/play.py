"""The input rules and scenarios that every SAC is checked by; pure."""

from __future__ import annotations

from dataclasses import dataclass

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
class InputRule:
    """One rule of docs/facts/sac.md 1.5; ReactOS is the source of all of them.

    Attributes:
        key: its name.
        says: the rule, for people.
        keys: what is pressed at an empty prompt.
        pattern: what must follow.
        view: on which bytes.
        prompts: how many prompts must follow in all; None: any number.
    """

    key: str
    says: str
    keys: bytes
    pattern: bytes = rb"Computer GUID: [^\n]*\n"  # the answer to `id`
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A scenario that is played on a SAC.

    Attributes:
        scenario: what is played.
        section: of docs/facts/sac.md that it is about.
        is_end: whether no prompt follows to come back to.
    """

    scenario: Scenario
    section: str
    is_end: bool = False


def shipped(section: str, *names: str) -> tuple[Check, ...]:
    """Return the scenarios of ttylab's library that have these names, as checks of `section`."""
    return tuple(Check(scenario=find_scenario(name), section=section) for name in names)


def _own(section: str, name: str, *steps: Step, is_end: bool = False) -> Check:
    return Check(scenario=say.scenario(f"conformance-{name}", *steps), section=section, is_end=is_end)


_UP: tuple[Step, ...] = (Reach(stage=Stage.CMD), Alive())
_GOES = Expect(effects=(say.GOES_DOWN,), within_s=_RESTART_S, allows=RESET | OFF)
_BUGCHECK = say.CRASHES | RESET

RESTART = (
    _own(
        "1.10",
        "restart",
        Send(line="restart", allows=RESET),
        _GOES,
        Expect(effects=(RESTARTS,), within_s=_RESTART_S, allows=RESET),
        *_UP,
    ),
    *shipped("1.7", "sac-channels"),
    *shipped("1.6", "sac-lock"),
)
"""A restart, and what needs a fresh boot and spoils it."""
CRASH = _own(
    "1.9",
    "crashdump",
    Alive(),
    Send(line="crashdump", allows=_BUGCHECK),
    Expect(effects=(*say.bugcheck("0xE2"), RESTARTS), within_s=_RESTART_S, allows=_BUGCHECK),
    *_UP,
)
_NMI = Inject(
    stimulus=Nmi(), effects=(*say.bugcheck("0x80"), RESTARTS), within_s=_RESTART_S, allows=_BUGCHECK
)
NMI_CRASH = _own("1.9", "nmi", Alive(), _NMI, *_UP)
SHUTDOWN = _own(
    "1.10",
    "shutdown",
    Alive(),
    Send(line="shutdown", allows=OFF),
    Expect(effects=(say.GOES_DOWN, SWITCHES_OFF), within_s=_RESTART_S, allows=OFF),
    is_end=True,
)
SHUTDOWN_UNSEEN = _own("1.10", "goodbye", Alive(), Send(line="shutdown", allows=OFF), _GOES, is_end=True)
