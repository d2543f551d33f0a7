"""What the pages show, taken from the run result and transcripts; templates only lay it out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.console.transcript import Transcript
from emulator.guest_text.printable import visible
from harness.report.comparison import cpus, target_of
from harness.report.console_html import Span, focus_of, render_excerpt
from harness.report.model import BAD, WORST_FIRST, CellResult, RunResult
from harness.report.timeline import render_timeline

SYMBOLS = {"passed": "✓", "failed": "✗", "broken": "!", "not-run": "?", "skipped": "-"}
MEANINGS = {
    "passed": "passed",
    "failed": "failed: the guest's fault",
    "broken": "broken: the lab's fault, nothing is known about the guest",
    "not-run": "not run: nobody played it to its end",
    "skipped": "skipped: the target can't do it, or it was left out on purpose",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """A cell as the pages show it.

    Attributes:
        result: its record.
        page: name of its page, without directory and suffix.
        target: what it ran on.
        symbol: of its verdict.
        boot_s: seconds from power-on to the last stage of the first boot; None without one.
        excerpt: rows of the transcript around the decisive place, as HTML; empty without a transcript.
        timeline: SVG.
        lost: why there is no transcript or only part of it; empty if it is whole.
        player: whether there is a page that plays its recording.
    """

    result: CellResult
    page: str
    target: str
    symbol: str
    boot_s: float | None
    excerpt: str
    timeline: str
    lost: str
    player: bool

    @property
    def is_bad(self) -> bool:
        """Whether somebody must look at it."""
        return self.result.status in BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """An image that the run used, from its provenance."""

    name: str
    kernel: str
    version: str
    digests: Mapping[str, str]
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridView:
    """Scenarios by targets; `rows` maps a scenario to one cell, or None, for each of `targets`."""

    targets: tuple[tuple[str, str, str, str], ...]
    rows: tuple[tuple[str, tuple[CellView | None, ...]], ...]


def view_cell(
    result: CellResult, transcript: Transcript | None, *, lost: str = "", player: bool = False
) -> CellView:
    """Return what the pages show of a cell; only bad cells get an excerpt."""
    is_bad = result.status in BAD
    excerpt = ""
    if is_bad and transcript is not None and len(transcript):
        spans = spans_of(result)
        excerpt = render_excerpt(transcript, focus_of(spans, transcript), spans)
    return CellView(
        result=result,
        page=page_of(result.cell.id),
        target=target_of(result),
        symbol=SYMBOLS[result.status],
        boot_s=_boot_s(result),
        excerpt=excerpt,
        timeline=render_timeline(result, transcript),
        lost=lost or ("" if transcript is None else transcript.truncated or ""),
        player=player,
    )


def spans_of(result: CellResult) -> tuple[Span, ...]:
    """Return the places in a transcript that matter: evidence and findings.

    What proves the steps before a failure is no evidence against the guest, and is marked as expected.
    """
    found = [
        Span(start=each.start, end=each.end, css="expected" if each.expected or each.suppressed else "found")
        for each in result.findings
    ]
    bad = [span for span in found if span.css == "found"]
    for each in result.evidence:
        shows = result.status not in BAD or any(each.start < one.end and each.end > one.start for one in bad)
        found.append(Span(start=each.start, end=each.end, css="hit" if shows else "expected"))
    return tuple(found)


def page_of(cell_id: str) -> str:
    """Return a file name for a cell's page; an id that is no file name is cleaned and gets a hash."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,180}", cell_id):
        return cell_id
    digest = hashlib.sha256(cell_id.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', cell_id)[:120].lstrip('.-') or 'cell'}-{digest}"


def _boot_s(result: CellResult) -> float | None:
    moments = [stage.at for stage in result.stages if stage.boot == 0]
    return max(moments) if moments else None


def bad_first(cells: Iterable[CellView]) -> list[CellView]:
    """Return the cells, the worst verdicts first, then by id."""
    return sorted(cells, key=lambda cell: (WORST_FIRST.index(cell.result.status), cell.result.cell.id))


def view_grid(cells: Sequence[CellView]) -> GridView:
    """Return scenarios by targets."""
    places = {_place(cell): cell for cell in cells}
    targets = sorted({target for target, _ in places})
    scenarios = sorted({scenario for _, scenario in places})
    return GridView(
        targets=tuple((image, machine, firmware, cpus(count)) for image, machine, firmware, count in targets),
        rows=tuple(
            (scenario, tuple(places.get((target, scenario)) for target in targets)) for scenario in scenarios
        ),
    )


def _place(cell: CellView) -> tuple[tuple[str, str, str, int], str]:
    record = cell.result.cell
    return (record.image, record.machine, record.firmware, record.vcpus), record.scenario


def view_images(run: RunResult) -> list[ImageView]:
    """Return the images of the run, one for each name and set of digests."""
    found: dict[tuple[str, str], ImageView] = {}
    for result in run.cells:
        facts = result.image
        view = ImageView(
            name=str(facts.get("name", result.cell.image)),
            kernel=str(facts.get("guest", facts.get("kernel_release", facts.get("own", "")))),
            version=str(facts.get("profile", facts.get("kernel_version", facts.get("format", "")))),
            digests=digests_of(facts),
            packages=tuple(_package(each) for each in _items(facts.get("packages"))),
        )
        found.setdefault((view.name, str(sorted(view.digests.items()))), view)
    return [found[key] for key in sorted(found)]


def digests_of(facts: Mapping[str, object]) -> dict[str, str]:
    """Return the digests of an image's files by what they are; those of a user's with their names."""
    files, digests = _texts(facts.get("files")), _texts(facts.get("sha256"))
    return {f"{key} {Path(files[key]).name}" if key in files else key: one for key, one in digests.items()}


def own_files_of(run: RunResult) -> dict[str, str]:
    """Return the digests of the users' own files that a run used, by image and file."""
    own = {result.cell.image: result.image for result in run.cells if "own" in result.image}
    return {f"{image} {key}": one for image, facts in own.items() for key, one in digests_of(facts).items()}


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(each) for key, each in value.items()} if isinstance(value, Mapping) else {}


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _package(value: object) -> str:
    facts = _texts(value)
    return f"{facts.get('name', value)} {facts.get('version', '')}".strip()


def headline(run: RunResult) -> str:
    """Return the run's result in one sentence."""
    counts = ((run.summary.get(status, 0), status.replace("-", " ")) for status in WORST_FIRST[:3])
    bad = [f"{count} {word}" for count, word in counts if count]
    total = len(run.cells)
    if run.interrupted:
        played = total - run.summary.get("not-run", 0)
        return f"Interrupted after {played} of {total} cells" + (f": {', '.join(bad)}" if bad else "")
    if bad:
        return f"{' and '.join(bad)} of {total} cells"
    passed = run.summary.get("passed", 0)
    if passed == total and total:
        return f"All {total} cells passed"
    return f"{passed} of {total} cells passed, the others were skipped" if total else "No cell ran"


def facts_of(run: RunResult) -> list[tuple[str, str]]:
    """Return what a reader first wants to know about a run, as names and values."""
    facts = [
        ("started", run.started_utc[:19].replace("T", " ") + " UTC"),
        ("took", duration(run.duration_s)),
        ("matrix", run.matrix),
        ("target", ", ".join(sorted({each.target for each in run.cells})) or "none"),
        ("began", _starts_of(run)),
        ("workers", str(run.workers)),
        ("accelerator", ", ".join(sorted({each.accelerator for each in run.cells} - {""})) or "unknown"),
        ("QEMU", ", ".join(sorted({each.qemu for each in run.cells} - {""})) or "unknown"),
        ("ttylab", run.ttylab),
    ]
    facts += [(f"host {key.replace('_', ' ')}", _fact(value)) for key, value in run.host.items()]
    return [(visible(name), visible(value)) for name, value in facts]


def _starts_of(run: RunResult) -> str:
    """Return how many cells were forked from snapshots, how many booted, and how many of those lacked one."""
    starts = [cell.start for cell in run.cells if cell.status != "not-run"]
    forked = sum(start.startswith("forked") for start in starts)
    failed = sum(start.startswith("booted: ") for start in starts)
    booted = f"{len(starts) - forked} booted" + (f" ({failed} for want of a snapshot)" if failed else "")
    return f"{forked} forked from snapshots, {booted}" if forked else booted


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_fact(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value))
    return str(value)


def duration(seconds: float) -> str:
    """Return `seconds` in words."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def latency(seconds: float | None) -> str:
    """Return a latency in words, in ms below a second."""
    if seconds is None:
        return "no effect seen"
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
