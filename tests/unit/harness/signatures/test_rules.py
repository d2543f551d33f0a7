"""Tests of harness/signatures/rules.py: what a rule file may say, and how it is refused."""

import re

import pytest

from emulator.errors import SpecError
from harness.signatures.rules import load_rules, shipped_rules
from harness.signatures.scanner import Scanner

RULE = """
[[rule]]
id = "boom"
trigger = 'BOOM (\\d+)'
title = "boom"
kind = "BUG"
see = "nowhere"
"""


@pytest.fixture
def rules_of(tmp_path):
    def write(text):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return load_rules([path])

    return write


def test_rules_of_ones_own_find_what_they_say(rules_of):
    scanner = Scanner(rules_of(RULE))
    assert [finding.title for finding in scanner.feed(b"[    1.0] BOOM 12\r\n")] == ["boom"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            RULE.replace('"BUG"', '"BUGS"'),
            "'rule.0.kind' has the value 'BUGS': Input should be 'ATOMIC_SLEEP'",
        ),
        (RULE.replace("(\\d+)", "(\\d+"), "is not an RE2 pattern"),
        (RULE.replace("BOOM", "(?=BOOM)"), "is not an RE2 pattern"),
        (RULE.replace('"boom"\ntrigger', '"Boom!"\ntrigger'), "rule.0.id"),
        (RULE.replace("see = ", "sea = "), "sea"),
        (RULE + RULE, "rule 'boom' is there twice"),
        (RULE + 'absorbs = ["bang"]', "rule 'boom' absorbs bang, which no file has"),
        (
            RULE + "[[rule.form]]\nmatch = 'x'\ntitle = 'x'\nframe = 'nosuch'",
            "no frame 'nosuch'; there are: ",
        ),
        (RULE + "fatal = 1", "rule.0.fatal"),
        ("suppress = ['^boom$']\n" + RULE, "suppress.0"),
        ("[[suppress]]\nmatch = '^boom$'\n" + RULE, "suppress.0.reason"),
        ("[[suppress]]\nmatch = '^boom$'\nreason = ''\n" + RULE, "suppress.0.reason"),
        (
            RULE + "[[rule.form]]\nmatch = 'x'\ntitle = 'x'\nconsequence_of = ['boom']",
            "rule 'boom': 'x' is a consequence and needs a `reason` to suppress it",
        ),
        (
            RULE + "[[rule.form]]\nmatch = 'x'\ntitle = 'x'\nconsequence_of = ['bang']\nreason = 'r'",
            "rule 'boom': 'x' follows bang, which no file has",
        ),
    ],
)
def test_rule_file_is_refused_with_its_place(rules_of, text, complaint):
    with pytest.raises(SpecError) as caught:
        rules_of(text)
    assert complaint in str(caught.value)


def test_shipped_rules_suppress_nothing_but_consequences_with_a_reason():
    assert shipped_rules().suppress == ()
    forms = [form for rule in shipped_rules().rules for form in rule.form if form.consequence_of]
    assert forms
    assert all(len(form.reason) > 20 for form in forms)


def alternatives(pattern):
    """Split a pattern at the `|` outside of its groups and classes."""
    depth, parts = 0, [""]
    for piece in re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", pattern):
        depth += (piece == "(") - (piece == ")")
        parts = [*parts, ""] if piece == "|" and not depth else [*parts[:-1], parts[-1] + piece]
    return parts


def test_no_shipped_pattern_begins_with_a_repetition_of_many_characters():
    """Each place of a text would begin a match: the screen's automaton would grow with the text."""
    many = r"(?:\[\^?\]?(?:\\.|[^\]\\])*\]|\.|\\[wSs])"
    begins = re.compile(rf"(?:\(\?:)*{many}?{many}(?:[*+]|\{{)")
    patterns = [
        (rule, one) for rule, loose in shipped_rules().screened for one in alternatives(loose.decode())
    ]
    assert len(patterns) > 100
    assert [(rule, one) for rule, one in patterns if begins.match(one)] == []
    assert all(begins.match(bad) for bad in (r"[A-Z][a-z ]{3,60}: x", r"(?:\S{1,20}: )?Oops"))


def test_shipped_rules_all_say_where_they_are_explained():
    assert all(rule.see for rule in shipped_rules().rules)


def test_form_takes_groups_and_the_function_into_its_title(rules_of):
    rules = rules_of(
        RULE
        + """
[[rule.form]]
match = 'BOOM (\\d+) of (\\w+)'
title = "boom {0} of {1} in {frame}"
alt = ["bang in {frame}"]
frame = "trace"
[[frame]]
id = "trace"
places = ["trace"]
skip = ['^innocent$']
[[rename]]
match = '^__do_(\\w+)$'
to = '\\1'
"""
    )
    scanner = Scanner(rules)
    scanner.feed(
        b"BOOM 12 of it\nCall Trace:\n innocent+0x1/0x2\n ? guess+0x1/0x2\n __do_work.part.0+0x1/0x2\n"
    )
    (finding,) = scanner.finish()
    assert finding.title == "boom NUM of it in work"
    assert finding.alt_titles == ("bang in work", "boom NUM of it in __do_work", "bang in __do_work")


def test_suppressed_noise_is_found_and_marked(rules_of):
    scanner = Scanner(rules_of("[[suppress]]\nmatch = '^boom$'\nreason = 'a drill'\n" + RULE))
    (finding,) = scanner.feed(b"BOOM 1\n")
    assert finding.suppressed


FORM = (
    RULE + "[[rule.form]]\nmatch = 'BOOM (\\d+)\\n(?:more\\n)?'\ntitle = \"boom {0}\"\nneeds_trace = false\n"
)
END = b"[    1.1] CPU: 0\r\n[    1.2] ---[ end trace 0 ]---"
TRACE = b"[    1.2] Call Trace:\r\n[    1.3]  one_fault+0x1/0x2\r\n"


@pytest.mark.parametrize(
    ("after", "whole"),
    [
        (b"[    1.1] other\r\n[    1.2] lines\r\nvm login: ", b""),
        (b"[    1.1] more\r\n[    1.2] lines\r\nvm login: ", b"[    1.1] more"),
        (END, END),
        (TRACE + b"[    1.4] ---[ end trace 0 ]---", TRACE + b"[    1.4] ---[ end trace 0 ]---"),
    ],
)
def test_report_without_a_trace_is_what_its_form_matches(rules_of, after, whole):
    scanner = Scanner(rules_of(FORM))
    said = b"up\r\n[    1.0] BOOM 12\r\n" + after
    scanner.feed(said)
    (finding,) = scanner.finish()
    assert said[finding.start : finding.end].rstrip() == (b"[    1.0] BOOM 12\r\n" + whole).rstrip()
    assert (finding.title, finding.corrupted) == ("boom NUM", False)
