"""`ttylab gc`: end and remove what a killed run left behind."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Option

from emulator import places
from emulator.errors import LabError
from emulator.files import collect_ownerless
from emulator.guest_images.own_room import tidy_own
from emulator.images.store import ImageStore
from emulator.machine.ledger import Collected, collect_garbage
from emulator.snapshots.store import collect_leftovers, tidy
from emulator.windows.install import INSTALLING
from harness.commands import say


def gc(
    *,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be done.")] = False,
    json: Annotated[bool, Option("--json", help="Print one JSON array, an object for each find.")] = False,
) -> None:
    """End machines whose owner is dead, and remove their sockets and ledger entries.

    What killed builds left in the cache goes too, and so does what the cache has no room for
    (`ttylab doctor` tells). What is still in use is never touched; run directories are evidence and stay.
    Exit code 3 if something could not be removed.

    Examples: `ttylab gc`, `ttylab gc --dry-run`.
    """
    collected = (*collect_garbage(dry_run=dry_run), *_unfinished(dry_run=dry_run))
    say(json_format.dumps([asdict(one) for one in collected]) if json else render(collected, dry_run=dry_run))
    failures = [error for one in collected for error in one.errors]
    if failures:
        raise LabError(f"{len(failures)} things could not be removed: {failures[0]}")


def _unfinished(*, dry_run: bool) -> Iterator[Collected]:
    """Yield what killed servers, builds, snapshots and installations left, and no other's."""
    installations = partial(collect_ownerless, places.windows(), prefix=INSTALLING)
    collectors: tuple[tuple[str, Callable[[], tuple[Path, ...]]], ...] = (
        ("its server is dead", lambda: collect_ownerless(places.served_guests(), dry_run=dry_run)),
        ("an image build was killed", lambda: ImageStore().collect(dry_run=dry_run)),
        ("making a snapshot was killed", lambda: collect_leftovers(places.snapshots(), dry_run=dry_run)),
        ("nobody has used it for long", lambda: tidy_own(dry_run=dry_run)),
        ("the cache has a budget", lambda: tidy(places.snapshots(), dry_run=dry_run)),
        ("an installation was killed", lambda: installations(dry_run=dry_run)),
    )
    for problem, collect in collectors:
        try:
            for path in collect():
                yield Collected(id=path.name, problem=problem, acts=(f"remove {path}",))
        except LabError as error:
            yield Collected(id="cache", problem=problem, acts=(), errors=(str(error),))


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
