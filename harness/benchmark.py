"""What a benchmark says: a value, its baseline from the same run, the ratio and the goal; pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One benchmark's outcome: the fixed words of `ttylab bench --json`.

    Attributes:
        name: of the benchmark.
        value: median of what was measured.
        unit: "s", "%".
        baseline: what it is compared with.
        baseline_value: median of that, measured in turn with `value`; None where there is none.
        ratio: median of the pairs' ratios; None without a baseline.
        goal: what must be reached, for people.
    """

    name: str
    value: float
    unit: str
    baseline: str
    baseline_value: float | None
    ratio: float | None
    goal: str


def measure_pairs(
    pairs: list[tuple[float, float]], *, name: str, unit: str, baseline: str, goal: str
) -> Measurement:
    """Return the outcome of pairs (ours, baseline) that were measured in turn.

    Raises:
        StatisticsError: there are no pairs.
    """
    return Measurement(
        name=name,
        value=median(ours for ours, _ in pairs),
        unit=unit,
        baseline=baseline,
        baseline_value=median(theirs for _, theirs in pairs),
        ratio=median(ours / theirs for ours, theirs in pairs) if all(pair[1] for pair in pairs) else None,
        goal=goal,
    )
