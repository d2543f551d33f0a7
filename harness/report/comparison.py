"""What changed between two runs: the verdicts of cells, and the speed of boots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from emulator.errors import SpecError
from harness.report.model import BAD, CellResult, RunResult

SLOWER = 1.25
"""How many times longer a stage must take to be reported; less is noise on a shared host."""
SLOWER_S = 0.2
"""By how many seconds it must be longer, too."""


Pair: TypeAlias = tuple[CellResult, CellResult]
"""A cell's results in the old and in the new run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """A stage of the first boot that takes longer, as medians over the cells of one target.

    Attributes:
        target: image, machine, firmware and vCPUs.
        stage: the stage that takes longer to reach.
        was_s: seconds from the stage before to this one, in the old run.
        now_s: the same in the new run.
        cells: how many cells of the new run were measured.
    """

    target: str
    stage: str
    was_s: float
    now_s: float
    cells: int

    @property
    def ratio(self) -> float:
        """How many times longer it takes."""
        return self.now_s / self.was_s if self.was_s else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs side by side; cells are sorted by id, slowdowns by ratio."""

    old_id: str
    old_started: str
    newly_failing: tuple[Pair, ...]
    fixed: tuple[Pair, ...]
    still_failing: tuple[Pair, ...]
    added: tuple[str, ...]
    vanished: tuple[str, ...]
    slower: tuple[Slowdown, ...]


def compare_runs(old: RunResult, new: RunResult) -> Comparison:
    """Return what differs in `new`; a cell that was skipped and now fails is newly failing."""
    before = {result.cell.id: result for result in old.cells}
    after = {result.cell.id: result for result in new.cells}
    pairs = [(before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    return Comparison(
        old_id=old.run_id,
        old_started=old.started_utc,
        newly_failing=_changes(pairs, was_bad=False, is_bad=True),
        fixed=tuple(one for one in _changes(pairs, was_bad=True, is_bad=False) if one[1].status == "passed"),
        still_failing=_changes(pairs, was_bad=True, is_bad=True),
        added=tuple(sorted(after.keys() - before.keys())),
        vanished=tuple(sorted(before.keys() - after.keys())),
        slower=tuple(sorted(_slower(old, new), key=lambda each: (-each.ratio, each.target, each.stage))),
    )


def _changes(pairs: list[Pair], *, was_bad: bool, is_bad: bool) -> tuple[Pair, ...]:
    return tuple(
        (was, now) for was, now in pairs if (was.status in BAD) is was_bad and (now.status in BAD) is is_bad
    )


def _slower(old: RunResult, new: RunResult) -> Iterator[Slowdown]:
    before, after = _durations(old), _durations(new)
    for (target, stage), seconds in after.items():
        if (target, stage) not in before:
            continue
        was, now = median(before[target, stage]), median(seconds)
        if now >= was * SLOWER and now - was >= SLOWER_S:
            yield Slowdown(target=target, stage=stage, was_s=was, now_s=now, cells=len(seconds))


def _durations(run: RunResult) -> Mapping[tuple[str, str], list[float]]:
    """Return the seconds that each stage of the first boots took to reach, by target and stage."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for result in run.cells:
        before = 0.0
        for stage in result.stages:
            if stage.boot == 0:
                found[target_of(result), stage.stage].append(stage.at - before)
                before = stage.at
    return found


def target_of(result: CellResult) -> str:
    """Return what a cell ran on, in words."""
    cell = result.cell
    return f"{cell.image} {cell.machine} {cell.firmware} {cpus(cell.vcpus)}"


def cpus(count: int) -> str:
    """Return a number of vCPUs in words."""
    return f"{count} vCPU{'s' if count > 1 else ''}"


def disagreements(one: RunResult, other: RunResult) -> dict[str, tuple[str, str]]:
    """Return what each run says of the cells on which they disagree, by id, in words.

    Raises SpecError if they have no cell in common.
    """
    ours, theirs = ({cell.cell.id: cell for cell in run.cells} for run in (one, other))
    if not ours.keys() & theirs.keys():
        raise SpecError(f"runs {one.run_id} and {other.run_id} have no cell in common")
    return {
        cell: (left, right)
        for cell in sorted(ours.keys() | theirs.keys())
        if (left := _said(ours.get(cell))) != (right := _said(theirs.get(cell)))
    }


def _said(result: CellResult | None) -> str:
    if result is None:
        return "not run"
    step = "" if result.step is None else f" at step {result.step}"
    return f"{result.status} ({result.reason}){step}"
