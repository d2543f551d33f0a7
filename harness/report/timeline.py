"""The timeline of a cell as an SVG picture: boots, stages, steps, stimuli, events, findings, output.

The picture is self-contained: colours follow the reader's light or dark scheme, every shape has a tooltip,
and no colour says anything that a word or a shape does not say too. The same input gives the same text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape as quote
from pathlib import Path

from emulator.console.marks import Chunk, Mark, MarkKind
from emulator.console.transcript import Transcript
from emulator.guest_text.printable import visible
from harness.report.model import CellResult, StageRecord
from harness.scenario.verdict import Injection

WIDTH = 1000
_LEFT, _RIGHT = 84, 14
_BAR, _GAP, _ROW = 20, 8, 15
_PLOT = 34
_BINS = 110
_CHARACTER = 6.3  # width of a label's character
_ROWS = 3  # of labels in a lane of points
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 86400)

_STYLE = "".join(
    (Path(__file__).parent / "templates" / "timeline.css").read_text(encoding="utf-8").splitlines()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A period in a lane; `css` is its class, `label` is written in it if there is room."""

    begin: float
    end: float
    css: str
    label: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A moment in a lane; a line is drawn from it to `until`, when it took effect."""

    at: float
    css: str
    label: str
    says: str
    until: float | None = None


@dataclass(slots=True)
class Canvas:
    """The picture, growing downwards.

    Attributes:
        end: seconds that the whole width covers.
        y: top of the next lane.
        parts: the SVG so far; what is added must be escaped already.
    """

    end: float
    y: float = 6.0
    parts: list[str] = field(default_factory=list)

    def x(self, at: float) -> float:
        """Return the x coordinate of the second `at`."""
        span = WIDTH - _LEFT - _RIGHT
        return _LEFT + span * min(max(at / self.end, 0.0), 1.0)

    def lane(self, name: str, height: float) -> float:
        """Start a lane; return its top."""
        top = self.y
        self.parts.append(
            f'<text class="lane" x="{_LEFT - 8}" y="{top + 14:.1f}" text-anchor="end">{name}</text>'
        )
        self.y += height + _GAP
        return top

    def picture(self, name: str) -> str:
        """Return the finished `<svg>` with its time axis; `name` is for screen readers."""
        axis = _axis(self)
        height = f"{self.y + 20:.0f}"
        label = _safe(f"timeline of {name}, {self.end:.1f} seconds")
        return (
            f'<svg class="tl" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-label="{label}"><style>{_STYLE}</style>'
            f'<rect width="{WIDTH}" height="{height}" style="fill:var(--paper)"/>'
            f"{axis}{''.join(self.parts)}</svg>"
        )


def _safe(text: str) -> str:
    return quote(visible(text))


def draw_bars(canvas: Canvas, name: str, bars: Sequence[Bar]) -> None:
    """Draw a lane of bars; nothing if there are none."""
    if not bars:
        return
    top = canvas.lane(name, _BAR)
    for bar in bars:
        left, right = canvas.x(bar.begin), canvas.x(bar.end)
        width = max(right - left, 1.5)
        canvas.parts.append(
            f"<g><title>{_safe(bar.says)}</title>"
            f'<rect class="{bar.css}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{width:.1f}" height="{_BAR}" rx="2"/>'
        )
        room = int((width - 8) / _CHARACTER)
        if room >= 3 or (room >= 1 and name == "steps"):
            label = _safe(_shortened(bar.label, room))
            canvas.parts.append(f'<text x="{left + 4:.1f}" y="{top + 14:.1f}">{label}</text>')
        canvas.parts.append("</g>")


def _shortened(label: str, room: int) -> str:
    if len(label) <= room:
        return label
    first, _, rest = label.partition(" ")
    if rest and room > 5:
        return label[: room - 1] + "…"
    return first if len(first) <= room else ""


def draw_points(canvas: Canvas, name: str, points: Sequence[Point]) -> None:
    """Draw a lane of points, with labels where there is room; nothing if there are none."""
    if not points:
        return
    rows, used = _placed(canvas, points)
    top = canvas.lane(name, _ROW * used + 5)
    for point, row in zip(points, rows, strict=True):
        x, y = canvas.x(point.at), top + 10 + _ROW * max(row, 0)
        canvas.parts.append(f"<g><title>{_safe(point.says)}</title>")
        if point.until is not None and canvas.x(point.until) - x > 1:
            canvas.parts.append(
                f'<line class="{point.css}" x1="{x:.1f}" y1="{y}" x2="{canvas.x(point.until):.1f}" y2="{y}"/>'
            )
        canvas.parts.append(f'<path class="{point.css}" d="{_shape(point.css, x, y)}"/>')
        if row >= 0:
            canvas.parts.append(_label(canvas, point, y))
        canvas.parts.append("</g>")


def _shape(css: str, x: float, y: float) -> str:
    if css == "stimulus":
        return f"M{x:.1f} {y - 5}l4 5-4 5-4-5z"
    if css == "event":
        return f"M{x - 1:.1f} {y - 6}h2v12h-2z"
    return f"M{x:.1f} {y - 5}l5 9h-10z"


def _label(canvas: Canvas, point: Point, y: float) -> str:
    x, anchor = _anchored(canvas, point)
    return f'<text x="{x:.1f}" y="{y + 4}" text-anchor="{anchor}">{_safe(_clipped(point.label))}</text>'


def _clipped(label: str) -> str:
    return label if len(label) <= 60 else label[:59] + "…"


def _anchored(canvas: Canvas, point: Point) -> tuple[float, str]:
    """Return x and anchor of a label: after its point, or before it at the right edge."""
    x = canvas.x(point.at)
    behind = max(x, canvas.x(point.until or 0.0)) + 8
    fits = behind + _CHARACTER * len(_clipped(point.label)) <= WIDTH
    return (behind, "start") if fits else (x - 8, "end")


def _placed(canvas: Canvas, points: Sequence[Point]) -> tuple[list[int], int]:
    """Return a row for each point, -1 if its label must be left out, and the number of rows."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_ROWS)]
    rows = []
    for point in points:
        x, anchor = _anchored(canvas, point)
        length = _CHARACTER * len(_clipped(point.label)) + 8
        left, right = (x - 14, x + length) if anchor == "start" else (x - length, x + 14)
        free = (r for r in range(_ROWS) if all(right < a or left > b for a, b in taken[r]))
        row = next(free, -1)
        rows.append(row)
        if row >= 0:
            taken[row].append((left, right))
    return rows, 1 + max([row for row in rows if row >= 0], default=0)


def draw_output(canvas: Canvas, chunks: Sequence[Chunk]) -> None:
    """Draw how many bytes came per second; nothing if there are no chunks."""
    if not chunks:
        return
    bins = [0.0] * _BINS
    for chunk in chunks:
        bins[min(int(_BINS * chunk.at / canvas.end), _BINS - 1)] += chunk.end - chunk.start
    peak = max(bins)
    top = canvas.lane("output", _PLOT)
    base = top + _PLOT
    step = (WIDTH - _LEFT - _RIGHT) / _BINS
    path = "".join(f"V{base - _PLOT * value / peak:.1f}h{step:.2f}" for value in bins)
    rate = peak * _BINS / canvas.end
    says = f"{chunks[-1].end} bytes, at most {_rate(rate)}"
    canvas.parts.append(
        f'<g><title>{says}</title><path class="out" d="M{_LEFT} {base:.1f}{path}V{base:.1f}z"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{top + 28:.1f}" text-anchor="end">{_rate(rate)}</text></g>'
    )


def _rate(value: float) -> str:
    return f"{value / 1000:.0f} kB/s" if value >= 9950 else f"{value / 1000:.1f} kB/s"


def _axis(canvas: Canvas) -> str:
    step = next((s for s in _TICKS if canvas.end / s <= 12), _TICKS[-1])
    parts = []
    for index in range(int(canvas.end / step) + 1):
        at = index * step
        x = canvas.x(at)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{canvas.y:.1f}"/>'
            f'<text class="tick" x="{x:.1f}" y="{canvas.y + 13:.1f}" text-anchor="middle">{at:g} s</text>'
        )
    return "".join(parts)


_SAID_BY_RUNNING = frozenset({"started", "RESUME"})  # within milliseconds before the mark "running"


def render_timeline(result: CellResult, transcript: Transcript | None) -> str:
    """Return the timeline as one `<svg>` element; without a transcript some lanes are left out."""
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
    """Return when byte `offset` came, in seconds; past the end, the last time there is."""
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
    firsts = _firsts(stages)
    ends = [first.at for first in firsts[1:]] + [end]
    return [
        Bar(
            begin=0.0 if first is firsts[0] else first.at,
            end=until,
            css="boot",
            label=f"boot {first.boot + 1}",
            says=f"boot {first.boot + 1}: {first.at:.2f} to {until:.2f} s",
        )
        for first, until in zip(firsts, ends, strict=False)
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
    """Return the first stage of each boot."""
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


def _latency(injection: Injection) -> str:
    return "(no effect)" if injection.latency_s is None else f"+{1000 * injection.latency_s:.0f} ms"


def _events(marks: Sequence[Mark]) -> list[Point]:
    """Return QMP events and power changes; equal ones within 100 ms count as one (docs/facts/qemu.md 4)."""
    points: list[Point] = []
    for mark in marks:
        is_event = mark.kind in {MarkKind.QMP, MarkKind.MACHINE} and mark.name not in _SAID_BY_RUNNING
        if is_event and not any(one.label == mark.name and mark.at - one.at < 0.1 for one in points):
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
