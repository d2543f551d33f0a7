"""The verdict on a user's test goes by whose fault its error is, and its evidence by the transcript."""

import pytest

from emulator.console.transcript import Transcript
from emulator.errors import LabError, SpecError
from harness.run.own_tests import lost_test, proof_of, record_of_test, verdict_on
from harness.run.result import not_run
from harness.scenario.errors import (
    Alarm,
    CellBroken,
    ExpectTimeout,
    GuestDied,
    GuestError,
    GuestLeft,
    HostTooSlow,
    Unsupported,
)
from harness.scenario.verdict import Status, Verdict

ALARM = Alarm(name="panic", title="a panic", start=3, end=8)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (AssertionError("x"), "failed", "test"),
        (TypeError("x"), "broken", "test"),
        (ExpectTimeout("x"), "failed", "timeout"),
        (GuestDied("x", alarm=ALARM), "failed", "died"),
        (GuestLeft("x", alarm=ALARM), "failed", "left"),
        (HostTooSlow("x"), "broken", "too-slow"),
        (LabError("x"), "broken", "lab"),
        (SpecError("x"), "broken", "lab"),
        (CellBroken("x"), "broken", "lab"),
        (Unsupported("x"), "skipped", "unsupported"),
    ],
)
def test_verdict_goes_by_whose_fault_it_is(error, status, reason):
    verdict = verdict_on(error, "what pytest says", asserted=False)
    assert (verdict.status, verdict.reason, verdict.message) == (status, reason, "what pytest says")


def test_failure_that_pytest_itself_declares_is_the_tests():
    assert verdict_on(None, "XPASS(strict)", asserted=True).status is Status.FAILED


def test_every_error_of_a_guest_has_a_reason():
    kinds = [GuestError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        error = kind.__new__(kind)
        error.__dict__["alarm"] = ALARM
        assert verdict_on(error, "x", asserted=False).status in {Status.FAILED, Status.BROKEN}, kind


def test_evidence_is_the_alarm_or_the_place_where_the_test_had_passed():
    transcript = Transcript(epoch=0.0)
    assert proof_of(Verdict(status=Status.PASSED), None, transcript)[0].start == 0
    transcript.append(b"12 panic\n")
    (death,) = proof_of(Verdict(status=Status.FAILED), GuestDied("x", alarm=ALARM), transcript)
    assert (death.says, death.start, death.end) == ("a panic", 3, 8)
    (passed,) = proof_of(Verdict(status=Status.PASSED), None, transcript)
    assert (passed.start, passed.end) == (9, 9)
    assert proof_of(Verdict(status=Status.FAILED), AssertionError(), transcript) == ()


def test_test_that_left_nothing_is_known_by_its_id_alone(tmp_path):
    lost = lost_test("test_a.py::test_b", tmp_path / "cells" / "x", given=not_run("why"), repro="pytest it")
    assert lost.cell == record_of_test("test_a.py::test_b", None)
    assert (lost.status, lost.repro, lost.console_bytes) == ("not-run", "pytest it", 0)
