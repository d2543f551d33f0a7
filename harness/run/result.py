"""Make the result of a cell from its transcript; pure: a transcript read back from disk gives the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal, cast

from emulator.console.transcript import Transcript
from emulator.program import called
from emulator.values import read_value
from harness.cells.cell import Cell
from harness.play.judge import Judgement, PlayedStep, judge
from harness.play.traces import boot_offsets, find_stages
from harness.report.model import CellRecord, CellResult, FindingRecord, StepRecord
from harness.scenario.errors import Alarm
from harness.scenario.scenario import Scenario, Severity
from harness.scenario.steps import describe_step
from harness.scenario.verdict import Reason, Status, Verdict
from harness.signatures.model import Finding
from harness.signatures.scanner import scan_boots


def broken(message: str) -> Verdict:
    """Return the verdict on a cell that the lab failed to play to its end."""
    return Verdict(status=Status.BROKEN, reason=Reason.LAB, message=message)


def skipped(message: str) -> Verdict:
    """Return the verdict on a cell that was not tried: the target can't, or it was left out on purpose."""
    return Verdict(status=Status.SKIPPED, reason=Reason.UNSUPPORTED, message=message)


def not_run(reason: str) -> Verdict:
    """Return the verdict on a cell that should have been played and was not, or not to its end."""
    return Verdict(status=Status.NOT_RUN, reason=Reason.NOT_RUN, message=f"not run: {reason}")


def draft_of(record: CellRecord, *, title: str, description: str, **facts: Any) -> CellResult:
    """Return what is known before anything is judged: `facts` are more fields of the result."""
    known = {"severity": Severity.NORMAL.value, "tags": (), "duration_s": 0.0, **facts}
    return CellResult(
        cell=record,
        title=title,
        description=description,
        status="not-run",
        reason=Reason.NOT_RUN.value,
        message="",
        console_bytes=0,
        **known,
    )


def draft_of_cell(cell: Cell, scenario: Scenario, **facts: Any) -> CellResult:
    """Return what is known of a cell before it is judged, as `draft_of`."""
    return draft_of(
        record_of(cell),
        title=scenario.title,
        description=scenario.description,
        severity=scenario.severity.value,
        tags=tuple(sorted(scenario.tags)),
        **facts,
    )


def judged(
    draft: CellResult, scenario: Scenario, transcript: Transcript, *, given: Verdict | None = None
) -> CellResult:
    """Return the result of a cell: judged, or `given`; then alone the transcript may be empty."""
    findings = _scan(transcript, given)
    return _filled(draft, transcript, judge(scenario, transcript, findings, given=given), findings)


def with_verdict(
    draft: CellResult, transcript: Transcript, verdict: Verdict, *, alarms: Iterable[Alarm]
) -> CellResult:
    """Return the result of one guest of a user's test; `alarms` are the findings that nobody expected."""
    findings = (
        () if verdict.status is Status.NOT_RUN else scan_boots(transcript.read(), boot_offsets(transcript))
    )
    return _filled(draft, transcript, Judgement(verdict=verdict, steps=(), alarms=tuple(alarms)), findings)


def record_of(cell: Cell) -> CellRecord:
    """Return a cell as reports have it."""
    return read_value(cell.words(), CellRecord, origin="cell")


def _filled(
    draft: CellResult, transcript: Transcript, judgement: Judgement, findings: tuple[Finding, ...]
) -> CellResult:
    verdict = judgement.verdict
    return replace(
        draft,
        status=verdict.status.value,
        reason=verdict.reason.value,
        message=verdict.message,
        step=verdict.step,
        evidence=verdict.evidence,
        injections=verdict.injections,
        findings=_findings(findings, judgement.alarms),
        stages=find_stages(transcript),
        steps=tuple(_step(played) for played in judgement.steps),
        console_bytes=len(transcript),
    )


def _scan(transcript: Transcript, given: Verdict | None) -> tuple[Finding, ...]:
    """Return the findings of all boots; none where the cell was not tried."""
    if given is not None and given.status is Status.SKIPPED:
        return ()
    return scan_boots(transcript.read(), boot_offsets(transcript))


def _findings(findings: Iterable[Finding], alarms: Iterable[Alarm]) -> tuple[FindingRecord, ...]:
    bad = tuple(alarms)
    return tuple(
        FindingRecord(
            rule=one.rule,
            kind=one.kind,
            title=one.title,
            start=one.start,
            end=one.end,
            fatal=one.fatal,
            corrupted=one.corrupted,
            suppressed=one.suppressed,
            expected=not any(_tells_of(one, alarm) for alarm in bad),
        )
        for one in findings
    )


def _tells_of(finding: Finding, alarm: Alarm) -> bool:
    """Tell whether an alarm is of a finding; one that ended a wait knew no more than where it begins."""
    return alarm.name == finding.rule and finding.start <= alarm.start < max(finding.end, finding.start + 1)


def _step(played: PlayedStep) -> StepRecord:
    outcome = cast("Literal['done', 'failed', 'broken', 'skipped', 'not-run']", played.outcome)
    return StepRecord(
        text=describe_step(played.step),
        begin=0.0 if played.begin is None else played.begin.at,
        end=None if played.end is None else played.end.at,
        outcome=outcome,
    )


def repro_of(cell: Cell, *, run: str = "", port: str = "", time_scale: float = 1.0) -> str:
    """Return the command that plays a cell again as `run` did, on the same port, with the same waits."""
    options = {"--run": run, "--port": port, "--time-scale": "" if time_scale == 1 else f"{time_scale:g}"}
    words = [word for option, value in options.items() if value for word in (option, value)]
    return called("repro", cell.id, *words)
