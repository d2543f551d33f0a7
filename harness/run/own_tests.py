"""A user's pytest test as a result like a cell's: its verdict, and what each of its guests left."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from emulator.console.transcript import Transcript
from emulator.errors import EmulatorError, SpecError
from emulator.machine.spec import MachineSpec
from harness.play.runner import blame
from harness.report.model import CellRecord, CellResult
from harness.run.cell_run import kept_transcript, lost_facts
from harness.run.repro import recorded_spec
from harness.run.result import broken, draft_of, with_verdict
from harness.scenario.errors import CellBroken, GuestDied, GuestError, HostTooSlow, Unsupported
from harness.scenario.verdict import Evidence, Reason, Status, Verdict


def record_of_test(name: str, spec: MachineSpec | None, *, image: str = "") -> CellRecord:
    """Return which guest of which test it is; `name` is the test's node id, with #2 for its second guest."""
    if spec is None:
        return CellRecord(id=name, image=image or "none", machine="", firmware="", vcpus=0, scenario=name)
    return CellRecord(
        id=name,
        image=image or spec.name,
        machine=spec.machine.value,
        firmware=spec.firmware.value,
        vcpus=spec.vcpus,
        scenario=name,
    )


def verdict_on(error: BaseException | None, text: str, *, asserted: bool) -> Verdict:
    """Return the verdict on a test that ended in `error`, or that pytest calls failed without one.

    Faults of guest and lab are told apart as in a cell; what a test asserts is FAILED, and any other error in
    its code BROKEN. `text` is what pytest says.
    """
    if isinstance(error, CellBroken):
        return broken(text)
    if isinstance(error, GuestError | Unsupported | EmulatorError | HostTooSlow):
        detail = blame(error)
        return Verdict(
            status=Status(str(detail["outcome"])), reason=Reason(str(detail["reason"])), message=text
        )
    status = Status.FAILED if asserted or isinstance(error, AssertionError) else Status.BROKEN
    return Verdict(status=status, reason=Reason.TEST, message=text)


def proof_of(verdict: Verdict, error: BaseException | None, transcript: Transcript) -> tuple[Evidence, ...]:
    """Return where a guest's transcript shows why its test ended as it did."""
    if isinstance(error, GuestDied):
        alarm = error.alarm
        at = alarm.at if alarm.at is not None else transcript.arrival(alarm.start)
        return (Evidence(says=alarm.title, start=alarm.start, end=alarm.end, at=at),)
    if verdict.status is not Status.PASSED:
        return ()
    end = transcript.chunks[-1] if transcript.chunks else None
    place, at = (end.end, end.at) if end else (0, 0.0)
    return (Evidence(says="the test passed", start=place, end=place, at=at),)


def lost_test(name: str, directory: Path, *, given: Verdict, repro: str) -> CellResult:
    """Return the result of a test that left none, with everything that a transcript in `directory` shows."""
    spec = None
    with suppress(SpecError):
        spec = recorded_spec(directory)
    transcript = kept_transcript(directory)
    facts = lost_facts(transcript, directory)
    draft = draft_of(record_of_test(name, spec), title=name, description="", repro=repro, **facts)
    return with_verdict(draft, transcript, given, alarms=())
