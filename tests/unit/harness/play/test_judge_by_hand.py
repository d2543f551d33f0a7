"""A verdict on a guest that people have reached into says so, and blames no guest."""

import pytest

from emulator.console.marks import REFUSED, MarkKind
from harness.scenario.stages import Stage
from harness.scenario.steps import Reach
from harness.scenario.verdict import Reason, Status
from tests.unit.harness.play.test_judge import LOGIN, story

LOGS_IN = Reach(stage=Stage.LOGIN)


def touched(told, name="qmp system_reset"):
    return told.mark(MarkKind.STIMULUS, name, by="control socket")


def test_passed_says_what_was_done_by_hand():
    told = touched(story().begin()).out(LOGIN).end()
    at = told.transcript.marks[2].at
    verdict = told.verdict(LOGS_IN)
    assert (verdict.status, verdict.message) == (Status.PASSED, f"by hand: qmp system_reset at {at:.1f} s")


def test_failed_becomes_broken_since_nothing_is_known_of_the_guest():
    told = touched(touched(story().begin()), "gdb")
    verdict = told.end(outcome="failed", reason="timeout", message="no login").verdict(LOGS_IN)
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.LAB)
    assert verdict.message.startswith("no login; by hand: qmp system_reset at ")
    assert verdict.message.endswith(" s, so nothing is known of the guest")
    assert ", gdb at " in verdict.message


@pytest.mark.parametrize(
    "told",
    [
        lambda: touched(story().begin().out(LOGIN).end()),  # after the last step: it decided nothing
        lambda: touched(story().begin()).mark(MarkKind.LAB, REFUSED).out(LOGIN).end(),
        lambda: story().begin().stimulus().out(LOGIN).end(),  # the scenario's own
    ],
)
def test_what_could_change_nothing_is_not_told(told):
    verdict = told().verdict(LOGS_IN)
    assert (verdict.status, verdict.message) == (Status.PASSED, "")


def test_failure_stays_the_guests_if_it_was_touched_afterwards():
    told = story().begin().end(outcome="failed", reason="timeout", message="no login")
    verdict = touched(told).verdict(LOGS_IN)
    assert (verdict.status, verdict.message) == (Status.FAILED, "no login")
