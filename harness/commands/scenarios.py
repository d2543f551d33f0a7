"""`ttylab scenarios`: what can be run, for people and for programs."""

from __future__ import annotations

import json as json_format
from typing import Annotated

import typer
from typer import Argument, Option

from harness.commands import print_table, say
from harness.scenario.scenario import Scenario
from harness.scenario.steps import describe_step
from harness.scenarios import LIBRARY, find_scenario, library

app = typer.Typer(
    help="The scenarios that ttylab ships, and those of your lab.toml.\n\n"
    "Examples: `ttylab scenarios list`, `ttylab scenarios list --json`, `ttylab scenarios show nmi-panic`.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
def list_scenarios(
    *,
    json: Annotated[
        bool, Option("--json", help="Print one JSON array, an object for each scenario.")
    ] = False,
) -> None:
    """List all scenarios with their titles.

    Examples: `ttylab scenarios list`, `ttylab scenarios list --json`.
    """
    if json:
        say(json_format.dumps([as_object(scenario) for scenario in library().values()], indent=2))
    else:
        marks = {name: "" if name in LIBRARY else "(yours) " for name in library()}
        rows = ((one.name, one.severity.value, marks[one.name] + one.title) for one in library().values())
        print_table(("name", "severity", "title"), rows)


@app.command()
def show(name: Annotated[str, Argument(metavar="NAME", help="A scenario on the list.")]) -> None:
    """Describe one scenario: why it matters, what it does, what must be seen.

    Example: `ttylab scenarios show nmi-panic`.
    """
    say(render_scenario(find_scenario(name)))


def as_object(scenario: Scenario) -> dict[str, object]:
    """Return a scenario for programs; every set becomes a sorted list."""
    return {
        "name": scenario.name,
        "title": scenario.title,
        "severity": scenario.severity.value,
        "tags": sorted(scenario.tags),
        "needs": sorted(scenario.needs),
        "description": scenario.description,
        "steps": [describe_step(step) for step in scenario.steps],
        "own": scenario.name not in LIBRARY,
    }


def render_scenario(scenario: Scenario) -> str:
    """Return everything about a scenario as text of several lines."""
    facts = {
        "severity": scenario.severity.value,
        "tags": ", ".join(sorted(scenario.tags)),
        "machine must do": ", ".join(sorted(scenario.needs)),
        "machine has": ", ".join(sorted(scenario.devices)),
        "guest has": ", ".join(sorted(scenario.modules)),
        "vCPUs": f"{scenario.min_vcpus} or more" if scenario.min_vcpus > 1 else "",
        "kernel arguments": " ".join(scenario.kernel_args),
    }
    steps = [f"  {number}. {describe_step(step)}" for number, step in enumerate(scenario.steps, start=1)]
    return "\n".join(
        [
            f"{scenario.name}: {scenario.title}",
            "",
            scenario.description,
            "",
            *steps,
            "",
            *(f"{key + ':':18}{value}" for key, value in facts.items() if value),
        ]
    )
