"""The timeline of a cell as an SVG picture: boots, stages, steps, stimuli, events, findings, output.

The picture stands for itself: colours follow the reader's light or dark scheme, every shape has a
tooltip, and no colour says anything that a word or a form does not say too. The same input gives
the same text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from emulator.console.marks import Chunk, Mark, MarkKind
from emulator.console.transcript import Transcript
from harness.report.model import CellResult, InjectionRecord, StageRecord
from harness.report.svg import Bar, Canvas, Point, draw_bars, draw_output, draw_points

_SAID_BY_RUNNING = frozenset({"started", "RESUME"})  # within milliseconds before the mark "running"


def render_timeline(result: CellResult, transcript: Transcript | None) -> str:
    """Return the timeline as one `<svg>` element that may stand in HTML or in a file of its own.

    Args:
        result: the cell's record.
        transcript: its console, or None if it is lost: then the lanes made from it are left out.
    """
    chunks = transcript.chunks if transcript is not None else ()
    marks = transcript.marks if transcript is not None else ()
    canvas = Canvas(end=_end(result, chunks, marks))
    boots = _boots(result.stages, canvas.end)
    draw_bars(canvas, "boots", boots if len(boots) > 1 else [])
    draw_bars(canvas, "stages", _stages(result.stages, boots))
    draw_bars(canvas, "steps", _steps(result, canvas.end))
    draw_points(canvas, "stimuli", _stimuli(result, marks))
    draw_points(canvas, "machine", _events(marks))
    draw_points(canvas, "findings", _findings(result, chunks))
    draw_output(canvas, chunks)
    return canvas.picture(result.cell.id)


def second_of(offset: int, chunks: Sequence[Chunk]) -> float:
    """Return when byte `offset` came, in seconds; the last stamp for what lies behind the end."""
    if not chunks:
        return 0.0
    index = bisect_right(chunks, offset, key=lambda chunk: chunk.start) - 1
    return chunks[max(index, 0)].at


def _end(result: CellResult, chunks: Sequence[Chunk], marks: Sequence[Mark]) -> float:
    moments = [chunk.at for chunk in chunks[-1:]] + [mark.at for mark in marks[-1:]]
    moments += [stage.at for stage in result.stages]
    moments += [step.end if step.end is not None else step.begin for step in result.steps]
    moments += [injection.at + (injection.latency_s or 0.0) for injection in result.injections]
    return max([*moments, 0.1])


def _boots(stages: Sequence[StageRecord], end: float) -> list[Bar]:
    begins: dict[int, float] = {}
    for stage in stages:
        begins.setdefault(stage.boot, stage.at)
    starts = sorted(begins.items())
    ends = [at for _, at in starts[1:]] + [end]
    return [
        Bar(
            begin=0.0 if index == 0 else at,
            end=until,
            css="boot",
            label=f"boot {boot + 1}",
            says=f"boot {boot + 1}: {at:.2f} to {until:.2f} s",
        )
        for index, ((boot, at), until) in enumerate(zip(starts, ends, strict=False))
    ]


_STAGE_ORDER = ("firmware", "loader", "kernel", "login", "shell")


def _stages(stages: Sequence[StageRecord], boots: Sequence[Bar]) -> list[Bar]:
    ends = {stage.boot: boot.end for stage, boot in zip(_firsts(stages), boots, strict=True)}
    bars = []
    for index, stage in enumerate(stages):
        following = stages[index + 1] if index + 1 < len(stages) else None
        until = following.at if following and following.boot == stage.boot else ends[stage.boot]
        look = _STAGE_ORDER.index(stage.stage) if stage.stage in _STAGE_ORDER else 0
        says = f"{stage.stage} of boot {stage.boot + 1}, reached at {stage.at:.2f} s"
        bars.append(Bar(begin=stage.at, end=until, css=f"s{look}", label=stage.stage, says=says))
    return bars


def _firsts(stages: Iterable[StageRecord]) -> list[StageRecord]:
    firsts: dict[int, StageRecord] = {}
    for stage in stages:
        firsts.setdefault(stage.boot, stage)
    return [firsts[boot] for boot in sorted(firsts)]


def _steps(result: CellResult, end: float) -> list[Bar]:
    return [
        Bar(
            begin=step.begin,
            end=end if step.end is None else step.end,
            css=step.outcome,
            label=f"{number} {step.text}"
            if step.outcome == "done"
            else f"{number} {step.outcome}: {step.text}",
            says=f"step {number} ({step.outcome}): {step.text}",
        )
        for number, step in enumerate(result.steps, start=1)
        if step.outcome not in {"not-run", "skipped"}
    ]


def _stimuli(result: CellResult, marks: Sequence[Mark]) -> list[Point]:
    points = [
        Point(
            at=each.at,
            css="stimulus",
            label=f"{each.stimulus} {_latency(each)}",
            says=f"{each.stimulus} at {each.at:.3f} s: {each.outcome}",
            until=None if each.latency_s is None else each.at + each.latency_s,
        )
        for each in result.injections
    ]
    known = {(each.stimulus, round(each.at, 2)) for each in result.injections}
    points += [
        Point(at=mark.at, css="stimulus", label=mark.name, says=f"{mark.name} at {mark.at:.3f} s")
        for mark in marks
        if mark.kind is MarkKind.STIMULUS and (mark.name, round(mark.at, 2)) not in known
    ]
    return sorted(points, key=lambda point: (point.at, point.label))


def _latency(injection: InjectionRecord) -> str:
    if injection.latency_s is None:
        return "(no effect)"
    return f"+{1000 * injection.latency_s:.0f} ms"


def _events(marks: Sequence[Mark]) -> list[Point]:
    """Return QMP events and changes of power; equal ones within 100 ms count as one (design.md, fact 8)."""
    points: list[Point] = []
    for mark in marks:
        if mark.kind not in {MarkKind.QMP, MarkKind.MACHINE} or mark.name in _SAID_BY_RUNNING:
            continue
        if any(point.label == mark.name and mark.at - point.at < 0.1 for point in points):
            continue
        says = f"{mark.kind.value}: {mark.name} at {mark.at:.3f} s"
        points.append(Point(at=mark.at, css="event", label=mark.name, says=says))
    return points


def _findings(result: CellResult, chunks: Sequence[Chunk]) -> list[Point]:
    return [
        Point(
            at=second_of(each.start, chunks),
            css="expected" if each.expected or each.suppressed else "finding",
            label=f"{each.title}{' (expected)' if each.expected else ''}",
            says=f"{each.rule}, {each.kind}: {each.title}, bytes {each.start} to {each.end}",
        )
        for each in result.findings
    ]
