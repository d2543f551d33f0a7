"""Make the result of a cell from its transcript; pure: a transcript read back from disk gives the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, cast

from emulator.console.transcript import Transcript
from emulator.program import called
from emulator.values import read_value
from harness.cells.cell import Cell
from harness.play.judge import Judgement, PlayedStep, judge
from harness.play.traces import boot_offsets, find_stages
from harness.report.model import CellRecord, CellResult, FindingRecord, StageRecord, StepRecord
from harness.scenario.errors import Alarm
from harness.scenario.scenario import Scenario, Severity
from harness.scenario.steps import describe_step
from harness.scenario.verdict import Reason, Status, Verdict
from harness.signatures.model import Finding
from harness.signatures.scanner import scan_boots


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known about a cell's run besides its transcript, by the names of CellResult's fields.

    Attributes:
        started_utc: ISO 8601, when it began.
        duration_s: seconds it took.
        worker: which worker ran it ("gw0", "main").
        directory: of its files, relative to the run's directory.
        argv: QEMU's command line.
        image: provenance of the image.
        accelerator, qemu: what executed guest code, and QEMU's version.
        seed: of the machine.
        target: what it was played on: "machine", "service" or "serial".
        start: how the machine began: booted, or forked from which snapshot.
        shares: what a fork has in common with every other fork of its snapshot.
        repro: the command that does the same again; empty: `ttylab repro` and the cell.
        held: how to join the guest, which was kept when its cell failed, or why it was not kept.
        slowdown: how many times longer than usual its waits were.
        time_scale: the factor on every wait.
        time_limit_s: seconds that its steps could take together.
    """

    started_utc: str
    duration_s: float
    worker: str
    directory: str
    argv: Sequence[str] = ()
    image: dict[str, object] = field(default_factory=dict)
    accelerator: str = ""
    qemu: str = ""
    seed: int | None = None
    target: str = "machine"
    start: str = "booted"
    shares: Sequence[str] = ()
    repro: str = ""
    held: tuple[str, ...] = ()
    slowdown: float = 1.0
    time_scale: float = 1.0
    time_limit_s: float = 180.0


def broken(message: str) -> Verdict:
    """Return the verdict on a cell that the lab failed to play to its end."""
    return Verdict(status=Status.BROKEN, reason=Reason.LAB, message=message)


def skipped(message: str) -> Verdict:
    """Return the verdict on a cell that was not tried: the target can't, or it was left out on purpose."""
    return Verdict(status=Status.SKIPPED, reason=Reason.UNSUPPORTED, message=message)


def not_run(reason: str) -> Verdict:
    """Return the verdict on a cell that should have been played and was not, or not to its end."""
    return Verdict(status=Status.NOT_RUN, reason=Reason.NOT_RUN, message=f"not run: {reason}")


def cell_result(
    cell: Cell,
    scenario: Scenario,
    transcript: Transcript,
    around: Circumstances,
    *,
    given: Verdict | None = None,
) -> CellResult:
    """Return the result of a cell: judged, or `given`; then alone the transcript may be empty."""
    findings = _scan(transcript, given)
    judgement = judge(scenario, transcript, findings, given=given)
    story = Story(
        cell=record_of(cell),
        title=scenario.title,
        description=scenario.description,
        severity=scenario.severity,
        tags=tuple(sorted(scenario.tags)),
    )
    around = replace(around, repro=around.repro or repro_of(cell))
    return _assemble(story, transcript, around, judgement=judgement, findings=findings)


def guest_result(
    story: Story, transcript: Transcript, around: Circumstances, verdict: Verdict, *, alarms: Iterable[Alarm]
) -> CellResult:
    """Return the result of one guest of a user's test; `alarms` are the findings that nobody expected."""
    findings = (
        () if verdict.status is Status.NOT_RUN else scan_boots(transcript.read(), boot_offsets(transcript))
    )
    judgement = Judgement(verdict=verdict, steps=(), alarms=tuple(alarms))
    return _assemble(story, transcript, around, judgement=judgement, findings=findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is played, for people, by the names of CellResult's fields."""

    cell: CellRecord
    title: str
    description: str
    severity: Severity = Severity.NORMAL
    tags: tuple[str, ...] = ()


def record_of(cell: Cell) -> CellRecord:
    """Return a cell as reports have it."""
    return read_value(cell.words(), CellRecord, origin="cell")


def _assemble(
    story: Story,
    transcript: Transcript,
    around: Circumstances,
    *,
    judgement: Judgement,
    findings: tuple[Finding, ...],
) -> CellResult:
    verdict = judgement.verdict
    facts: dict[str, Any] = {
        one.name: getattr(part, one.name) for part in (story, around) for one in fields(part)
    }
    facts |= {"argv": tuple(around.argv), "shares": tuple(around.shares), "severity": story.severity.value}
    return CellResult(
        status=verdict.status.value,
        reason=verdict.reason.value,
        message=verdict.message,
        step=verdict.step,
        evidence=verdict.evidence,
        injections=verdict.injections,
        findings=_findings(findings, judgement.alarms),
        stages=_stages(transcript),
        steps=tuple(_step(played) for played in judgement.steps),
        console_bytes=len(transcript),
        **facts,
    )


def _scan(transcript: Transcript, given: Verdict | None) -> tuple[Finding, ...]:
    """Return the findings of all boots; none where the cell was not tried."""
    if given is not None and given.status is Status.SKIPPED:
        return ()
    return scan_boots(transcript.read(), boot_offsets(transcript))


def _stages(transcript: Transcript) -> tuple[StageRecord, ...]:
    return tuple(StageRecord(boot=s.boot, stage=s.stage.value, at=s.at) for s in find_stages(transcript))


def _findings(findings: Iterable[Finding], alarms: Iterable[Alarm]) -> tuple[FindingRecord, ...]:
    bad = {(alarm.name, alarm.end) for alarm in alarms}
    return tuple(
        FindingRecord(
            rule=one.rule,
            kind=one.kind.value,
            title=one.title,
            start=one.start,
            end=one.end,
            fatal=one.fatal,
            corrupted=one.corrupted,
            suppressed=one.suppressed,
            expected=(one.rule, one.end) not in bad,
        )
        for one in findings
    )


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
