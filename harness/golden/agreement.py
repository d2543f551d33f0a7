"""Whether two runs of the same cells, one forked and one booted, come to the same verdicts; pure."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.errors import SpecError
from harness.report.model import CellResult, RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A cell on which two runs differ: what each says of it, in words."""

    cell: str
    one: str
    other: str


def disagreements(one: RunResult, other: RunResult) -> tuple[Disagreement, ...]:
    """Return the cells whose verdict, reason or deciding step differ, or that only one run has; by id.

    Raises:
        SpecError: the runs have no cell in common.
    """
    ours, theirs = ({cell.cell.id: cell for cell in run.cells} for run in (one, other))
    if not ours.keys() & theirs.keys():
        raise SpecError(f"runs {one.run_id} and {other.run_id} have no cell in common")
    said = {
        cell: (_said(ours.get(cell)), _said(theirs.get(cell))) for cell in sorted(ours.keys() | theirs.keys())
    }
    return tuple(
        Disagreement(cell=cell, one=left, other=right)
        for cell, (left, right) in said.items()
        if left != right
    )


def _said(result: CellResult | None) -> str:
    if result is None:
        return "not run"
    step = "" if result.step is None else f" at step {result.step}"
    return f"{result.status} ({result.reason}){step}"
