"""Make the result of a cell from its transcript: pure, the same for one that was read back from disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from emulator.console.transcript import Transcript
from emulator.values import read_value
from harness.cells.cell import Cell
from harness.play.boot_stages import boot_offsets, find_stages
from harness.play.judge import PlayedStep, judge, played_steps, unexpected_alarms
from harness.report.model import (
    CellRecord,
    CellResult,
    FindingRecord,
    StageRecord,
    StepRecord,
)
from harness.scenario.scenario import Scenario, describe_step
from harness.scenario.verdict import Reason, Status, Verdict
from harness.signatures.model import Finding
from harness.signatures.scanner import scan_boots


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of a cell's run besides its transcript.

    Attributes:
        started_utc: ISO 8601, when it began.
        duration_s: seconds it took.
        worker: who ran it ("gw0", "main").
        directory: of its files, relative to the run's directory.
        argv: QEMU's command line.
        image: provenance of the image.
        accelerator, qemu: who executed guest code, and QEMU's version.
        seed: of the machine.
        target: what it was played on: "machine" or "service".
        start: how the machine began: booted, or forked from which state.
        shares: what a fork has in common with every other fork of its state.
        repro: the command that does the same again; empty: `ttylab repro` and the cell.
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


def cell_record(cell: Cell) -> CellRecord:
    """Return the fixed words for a cell."""
    return read_value(cell.words(), CellRecord, origin="cell")


def judged_result(
    cell: Cell, scenario: Scenario, transcript: Transcript, around: Circumstances
) -> CellResult:
    """Return the result of a cell that was played to its end."""
    findings = scan_boots(transcript.read(), boot_offsets(transcript))
    return _result(
        cell, scenario, transcript, around, verdict=judge(scenario, transcript, findings), findings=findings
    )


def broken_result(
    cell: Cell, scenario: Scenario, transcript: Transcript, around: Circumstances, *, message: str
) -> CellResult:
    """Return the result of a cell that the lab failed to play to its end; the transcript may be empty."""
    findings = scan_boots(transcript.read(), boot_offsets(transcript))
    verdict = Verdict(status=Status.BROKEN, reason=Reason.LAB, message=message)
    return _result(cell, scenario, transcript, around, verdict=verdict, findings=findings)


def skipped_result(
    cell: Cell, scenario: Scenario, transcript: Transcript, around: Circumstances, *, message: str
) -> CellResult:
    """Return the result of a cell that was not tried, or given up because the run was interrupted."""
    verdict = Verdict(status=Status.SKIPPED, reason=Reason.UNSUPPORTED, message=message)
    return _result(cell, scenario, transcript, around, verdict=verdict, findings=())


def _result(
    cell: Cell,
    scenario: Scenario,
    transcript: Transcript,
    around: Circumstances,
    *,
    verdict: Verdict,
    findings: Iterable[Finding],
) -> CellResult:
    steps = played_steps(scenario, transcript.marks)
    return CellResult(
        cell=cell_record(cell),
        title=scenario.title,
        description=scenario.description,
        severity=scenario.severity.value,
        tags=tuple(sorted(scenario.tags)),
        status=verdict.status.value,
        reason=verdict.reason.value,
        message=verdict.message,
        step=verdict.step,
        evidence=verdict.evidence,
        injections=verdict.injections,
        findings=_findings(scenario, steps, transcript, findings),
        stages=tuple(StageRecord(boot=s.boot, stage=s.stage.value, at=s.at) for s in find_stages(transcript)),
        steps=tuple(_step(played) for played in steps),
        started_utc=around.started_utc,
        duration_s=around.duration_s,
        console_bytes=len(transcript),
        worker=around.worker,
        directory=around.directory,
        repro=around.repro or f"ttylab repro {cell.id}",
        argv=tuple(around.argv),
        image=around.image,
        accelerator=around.accelerator,
        qemu=around.qemu,
        seed=around.seed,
        target=around.target,
        start=around.start,
        shares=tuple(around.shares),
    )


def _findings(
    scenario: Scenario, steps: tuple[PlayedStep, ...], transcript: Transcript, findings: Iterable[Finding]
) -> tuple[FindingRecord, ...]:
    kept = list(findings)
    bad = {(alarm.name, alarm.end) for alarm in unexpected_alarms(scenario, steps, transcript, kept)}
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
        for one in kept
    )


def _step(played: PlayedStep) -> StepRecord:
    outcome = cast("Literal['done', 'failed', 'broken', 'skipped', 'not-run']", played.outcome)
    return StepRecord(
        text=describe_step(played.step),
        begin=0.0 if played.begin is None else played.begin.at,
        end=None if played.end is None else played.end.at,
        outcome=outcome,
    )
