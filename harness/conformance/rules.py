"""How a line at the SAC prompt is read: rules as keys to press and what must follow; pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.scenario import View

_IDENTITY = rb"Computer GUID: [^\n]*\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of spec/windows-sac.md 1.5, all of which ReactOS is the source of.

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
    Rule(key="rule.backspace", says="BS erases: i x BS d is `id`", keys=b"ix\x08d\r"),
    Rule(key="rule.delete", says="DEL erases: i x DEL d is `id`", keys=b"ix\x7fd\r"),
    Rule(key="rule.case", says="case does not matter: ID is `id`", keys=b"ID\r"),
    Rule(key="rule.blanks", says="blanks around a command do not matter", keys=b"  id  \r"),
    Rule(key="rule.line_feed", says="LF ends a line as CR does", keys=b"id\n"),
    Rule(key="rule.ctrl_c", says="Ctrl-C ends a line as CR does", keys=b"id\x03"),
    Rule(
        key="rule.cr_lf", says="an LF right after a CR is swallowed", keys=b"\r\n", pattern=b"SAC>", prompts=1
    ),
    Rule(key="rule.tab", says="TAB gives a BEL", keys=b"\t", pattern=b"\x07", view=View.RAW),
    Rule(
        key="rule.prefix",
        says="a longer word is the command that it begins with: `paging` is `p`",
        keys=b"paging\rpaging\r",
        pattern=rb"Paging is now (?:ON|OFF)\.\r\n",
    ),
    Rule(
        key="rule.line_limit",
        says="past column 78 the last character is overwritten",
        keys=b"x" * 78 + b"y",
        pattern=b"x\x08y",
        view=View.RAW,
    ),
)
