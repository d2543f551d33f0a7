"""`ttylab gc`: end and remove what a killed run left behind."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from typing import Annotated

import typer

from emulator.errors import LabError
from emulator.machine.ledger import Collected, collect_garbage
from emulator.service.state.run_dirs import collect_run_dirs


def gc(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array, an object for each find.")
    ] = False,
) -> None:
    """End machines whose owner is dead, and remove their sockets and ledger entries.

    Machines that are still in use are never touched; run directories are evidence and stay.
    Exit code 3 if something could not be removed.

    Examples: `ttylab gc`, `ttylab gc --dry-run`.
    """
    servers = (
        Collected(id=path.name, problem="its server is dead", acts=(f"remove {path}",))
        for path in collect_run_dirs(dry_run=dry_run)
    )
    collected = (*collect_garbage(dry_run=dry_run), *servers)
    typer.echo(
        json_format.dumps([asdict(one) for one in collected]) if json else render(collected, dry_run=dry_run)
    )
    failures = [error for one in collected for error in one.errors]
    if failures:
        raise LabError(f"{len(failures)} things could not be removed: {failures[0]}")


def render(collected: tuple[Collected, ...], *, dry_run: bool) -> str:
    """Say what was done, a paragraph for each find."""
    if not collected:
        return "Nothing is left behind."
    verb = "would " if dry_run else ""
    lines = []
    for one in collected:
        lines.append(f"{one.id}: {one.problem}")
        lines += [f"  {verb}{act}" for act in one.acts]
        lines += [f"  failed: {error}" for error in one.errors]
    return "\n".join(lines)
