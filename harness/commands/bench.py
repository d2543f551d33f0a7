"""`ttylab bench`: measure ttylab against its baselines, both in one run."""

from __future__ import annotations

import importlib
import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.errors import MissingPrerequisite, SpecError
from harness.benchmark import Measurement

EXAMPLES = """Examples:

  ttylab bench                             all; takes some minutes

  ttylab bench reader-8mb idle-console     these two

  ttylab bench --json                      for programs
"""

app = typer.Typer(add_completion=False)


@app.command("bench", epilog=EXAMPLES)
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Names; default all.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON array, an object each.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show the names.")] = False,
) -> None:
    """Measure; values are medians, each beside a baseline that was measured in turn with it."""
    code = _load()
    known: dict[str, str] = code.PROVIDES
    for name in names or ():
        if name not in known:
            raise SpecError(f"unknown benchmark {name!r}; allowed: {', '.join(known)}")
    if listing:
        typer.echo("\n".join(known))
        return
    wanted = list(names or known)
    found: list[Measurement] = []
    for group in dict.fromkeys(known[name] for name in wanted):
        sys.stderr.write(f"ttylab: measuring {group} …\n")
        found += [one for one in code.BENCHMARKS[group]() if one.name in wanted]
    if json:
        typer.echo(json_format.dumps([asdict(one) for one in found], indent=1))
        return
    for one in found:
        typer.echo(render(one))


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
        raise MissingPrerequisite("tests/bench", remedy="run ttylab bench from a checkout of ttylab")
    sys.path.insert(0, str(root))
    return importlib.import_module("tests.bench.benchmarks")
