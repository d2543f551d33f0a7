"""`ttylab bench`: measure ttylab against its baselines, both in one run."""

from __future__ import annotations

import importlib
import json as json_format
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from typer import Argument, Option

from emulator.errors import LabError, MissingPrerequisite, SpecError
from harness.commands import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One benchmark's result; the names are those of `ttylab bench --json`.

    Attributes:
        name: of the benchmark.
        value: median of what was measured.
        unit: "s", "%".
        baseline: what it is compared with.
        baseline_value: median of the baseline, measured in turn with `value`; None without one.
        ratio: median of the pairs' ratios; None without a baseline.
        goal: what is to be reached, for people.
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
    """Return the result of pairs (ours, baseline), at least one, that were measured in turn."""
    return Measurement(
        name=name,
        value=median(ours for ours, _ in pairs),
        unit=unit,
        baseline=baseline,
        baseline_value=median(theirs for _, theirs in pairs),
        ratio=median(ours / theirs for ours, theirs in pairs) if all(pair[1] for pair in pairs) else None,
        goal=goal,
    )


EXAMPLES = """Examples:
  ttylab bench                             all; takes some minutes
  ttylab bench reader-8mb idle-console     only these two
  ttylab bench --json                      for programs
"""


def bench(
    names: Annotated[list[str] | None, Argument(help="Names; default: all.")] = None,
    *,
    json: Annotated[bool, Option("--json", help="Print one JSON array, an object for each.")] = False,
    listing: Annotated[bool, Option("--list", help="Show the names.")] = False,
) -> None:
    """Measure; values are medians, each next to a baseline that was measured in turn with it."""
    code = _load()
    known: dict[str, str] = code.PROVIDES
    for name in names or ():
        if name not in known:
            raise SpecError(f"unknown benchmark {name!r}; allowed: {', '.join(known)}")
    if listing:
        say("\n".join(known))
        return
    wanted = names or list(known)
    found: list[Measurement] = []
    failed: list[str] = []
    try:
        for group in dict.fromkeys(known[name] for name in wanted):
            sys.stderr.write(f"ttylab: measuring {group} …\n")
            measured = _measure(group, code.BENCHMARKS[group], failed)
            found += [one for one in measured if one.name in wanted]
            if not json:
                say("".join(f"{render(one)}\n" for one in measured if one.name in wanted), nl=False)
    finally:  # Ctrl-C too leaves what was measured
        if json:
            say(json_format.dumps([asdict(one) for one in found], indent=1))
    if failed:
        raise LabError(f"not measured: {'; '.join(failed)}")


def _measure(group: str, measure: Callable[[], list[Measurement]], failed: list[str]) -> list[Measurement]:
    """Return a benchmark's figures; one that fails is noted in `failed`, and the others go on."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001  # see above
        failed.append(f"{group} ({str(error) or repr(error)})")
        sys.stderr.write(f"ttylab: {failed[-1]} failed\n")
        return []


def render(one: Measurement) -> str:
    """Return a measurement as a line for people."""
    beside = ""
    if one.baseline_value is not None:
        ratio = "" if one.ratio is None else f", ratio {one.ratio:.3f}"
        beside = f"; {one.baseline}: {one.baseline_value:.4g} {one.unit}{ratio}"
    return f"{one.name:16} {one.value:.4g} {one.unit}{beside}; goal: {one.goal}"


def _load() -> Any:
    """Import the benchmarks; they belong to the checkout, not to the installed package."""
    root = Path(__file__).parents[2]
    if not (root / "tests" / "bench" / "benchmarks.py").is_file():
        raise MissingPrerequisite("tests/bench", remedy="run `./ttylab bench` in a checkout of ttylab")
    sys.path.insert(0, str(root))
    return importlib.import_module("tests.bench.benchmarks")
