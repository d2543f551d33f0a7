"""Grouping of what did not pass, the probability, exit codes, and how all that is told."""

import json

import pytest

from harness.repeat.plan import Jitter, Repetition
from harness.repeat.summary import Cause, Hunt, Summary, broken_ending, cause_of, ending_of
from harness.repeat.text import render_ending, render_summary
from harness.report.model import FindingRecord
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED
from harness.scenario.verdict import Status
from tests.support.report_samples import make_cell

CELL = "bookworm.q35.seabios.1.nmi-panics"
HUNT = Hunt(cell=CELL, seed=7, kinds=frozenset(Jitter), planned=200, jobs=2)
STEP = "step 1: inject nmi: the kernel panics, then reboots"


def finding(rule="panic", title="kernel panic: NMI", start=5, **changes):
    fields = {"kind": "BUG", "end": start + 9, "fatal": True, "corrupted": False, "suppressed": False}
    return FindingRecord(
        **{"rule": rule, "title": title, "start": start, "expected": False} | fields | changes
    )


def end(number, status="passed", **changes):
    cell = make_cell(status, **changes)
    directory = "" if status == "passed" else f"{number:04}"
    return ending_of(Repetition(number=number, load=1), cell, directory=directory)


def lines(endings, **fields):
    return render_summary(Summary(hunt=HUNT, endings=tuple(endings), duration_s=60.0, **fields)).splitlines()


def test_passed_cell_has_no_cause():
    assert cause_of(make_cell("passed", findings=[finding(expected=False)])) is None


def test_failure_is_grouped_by_its_finding():
    noise = finding(rule="noise", title="known", start=1, suppressed=True)
    allowed = finding(rule="nmi", title="NMI received", start=2, expected=True)
    later = finding(rule="late", title="what follows", start=90)
    cause = cause_of(make_cell("failed", findings=[later, noise, allowed, finding()]))
    assert cause == Cause(reason="died", rule="panic", title="kernel panic: NMI")


def test_failure_without_a_finding_is_grouped_by_reason_and_step_whatever_its_message():
    first = cause_of(make_cell("failed", reason="timeout", message="at byte 71, 4.3 s: awaited x"))
    second = cause_of(make_cell("failed", reason="timeout", message="at byte 99, 9.1 s: awaited x"))
    assert first == second == Cause(reason="timeout", rule="", title=STEP)
    assert cause_of(make_cell("failed", reason="command")) != first
    assert cause_of(make_cell("failed", reason="timeout", step=2)) != first


def test_lab_fault_is_grouped_by_step_or_message_never_by_what_the_guest_showed():
    broken = make_cell("broken", step=None, message="QEMU is gone", findings=[finding()])
    assert cause_of(broken) == Cause(reason="lab", rule="", title="QEMU is gone")
    assert cause_of(make_cell("broken", findings=[finding()])).title == STEP


def test_groups_come_largest_first_with_their_numbers():
    dead = {"findings": [finding()]}
    endings = [end(4, "failed", **dead), end(9, "failed"), end(2, "failed", **dead), end(1)]
    first, second = Summary(hunt=HUNT, endings=tuple(endings), duration_s=1.0).groups(Status.FAILED)
    assert [one.repetition.number for one in first.endings] == [2, 4]
    assert (first.cause.rule, second.cause.title) == ("panic", STEP)


def test_probability_counts_verdicts_on_the_guest_alone():
    endings = [*(end(n) for n in range(1, 7)), end(7, "failed"), end(8, "failed"), end(9, "broken")]
    endings += [end(10, "skipped"), broken_ending(Repetition(number=11), "the worker died", directory="0011")]
    share = Summary(hunt=HUNT, endings=tuple(endings), duration_s=1.0).failures
    assert (share.count, share.of, share.estimate) == (2, 8, 0.25)
    assert "not counted: 2 broken, 1 skipped" in lines(endings)


def test_nothing_failed_of_200_is_at_most_1_9_percent():
    (head, pace) = lines([end(n) for n in range(1, 201)])
    assert head == f"{CELL}: 0 of 200 failed: 0.0 %, 95 % interval 0.0 to 1.9 %"
    assert pace == "jitter load,icount,delay, seed 7; 200 in 60 s, 200/min, 2 at once"


@pytest.mark.parametrize(
    ("statuses", "fields", "code"),
    [
        (["passed"], {}, EXIT_PASSED),
        (["passed", "failed", "broken"], {}, EXIT_FAILED),
        (["passed", "broken"], {}, EXIT_BROKEN),
        (["skipped"], {}, EXIT_BROKEN),
        ([], {}, EXIT_BROKEN),
        (["passed", "skipped"], {}, EXIT_PASSED),
        (["failed"], {"interrupted": True}, EXIT_INTERRUPTED),
    ],
)
def test_exit_code_says_whose_fault(statuses, fields, code):
    endings = [end(number, status) for number, status in enumerate(statuses, 1)]
    assert Summary(hunt=HUNT, endings=tuple(endings), duration_s=1.0, **fields).exit_code == code


def test_text_tells_causes_evidence_and_the_line_that_does_it_again():
    message = "guest died:\x1b[2J gone"
    endings = [end(n, "failed", findings=[finding()], message=message) for n in range(20, 40)] + [end(1)]
    shown = lines(endings, stopped=True, notes=["every machine was booted: no room"])
    assert shown[0] == f"{CELL}: 20 of 21 failed: 95.2 %, 95 % interval 77.3 to 99.2 %"
    assert "21 of 200 in 60 s" in shown[1]
    assert shown[2:] == [
        "stopped at the first failure, so this probability is too high",
        "every machine was booted: no room",
        "",
        "  20 FAILED died: kernel panic: NMI [panic]",
        r"     e.g. guest died:\x1b[2J gone",
        "     repetitions 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 and 8 more",
        "     evidence: 0020",
        f"     again: ttylab repeat {CELL} --seed 7 --only 20",
    ]


def test_text_says_how_many_were_booted_instead():
    endings = [end(1, start="forked from shell 1a2b"), end(2, start="booted: no state"), end(3)]
    assert "1 could not start from a snapshot: booted: no state" in lines(endings)


def test_text_says_so_where_nothing_was_judged():
    assert lines([], interrupted=True) == [
        f"{CELL}: no repetition gave a verdict on the guest",
        "jitter load,icount,delay, seed 7; 0 of 200 in 60 s, 0/min, 2 at once (interrupted)",
    ]


def test_ending_is_told_in_one_line():
    assert render_ending(end(3)) == "PASSED     3 (load 1)"
    assert render_ending(end(3, "failed", message="a\nb")) == r"FAILED     3 (load 1): a\nb"


def test_reproduction_line_carries_what_else_was_chosen():
    hunt = Hunt(cell=CELL, seed=7, kinds=frozenset({Jitter.DELAY}), planned=None, jobs=1, options=("--cold",))
    assert hunt.repro(17) == f"ttylab repeat {CELL} --seed 7 --only 17 --jitter delay --cold"
    none = Hunt(cell=CELL, seed=7, kinds=frozenset(), planned=5, jobs=1)
    assert none.repro(1) == f"ttylab repeat {CELL} --seed 7 --only 1 --jitter none"


def test_json_has_the_whole_and_each_repetition():
    endings = [end(1), end(2, "failed", findings=[finding()]), end(3, "broken"), end(4, "skipped")]
    told = json.loads(Summary(hunt=HUNT, endings=tuple(endings), duration_s=2.0).to_json())
    assert told["counts"] == {"passed": 1, "failed": 1, "broken": 1, "skipped": 1}
    assert told["probability"] == {
        "estimate": 0.5, "low": pytest.approx(0.0945, abs=1e-4), "high": pytest.approx(0.9055, abs=1e-4),
        "confidence": 0.95, "failed": 1, "of": 2,
    }  # fmt: skip
    (group,) = told["groups"]
    assert (group["rule"], group["count"], group["repetitions"]) == ("panic", 1, [2])
    assert [len(told[key]) for key in ("broken", "skipped")] == [1, 1]
    assert [one["number"] for one in told["repetitions"]] == [1, 2, 3, 4]
    assert told["repetitions"][1] | {"message": ""} == {
        "number": 2, "load": 1, "delays": {}, "icount_shift": None, "status": "failed", "message": "",
        "duration_s": 2.75, "directory": "0002", "start": "booted",
    }  # fmt: skip
    assert json.loads(Summary(hunt=HUNT, endings=(), duration_s=2.0).to_json())["probability"] is None
