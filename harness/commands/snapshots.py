"""`ttylab snapshots`: list, build and prune the snapshots that scenarios start from."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emulator import places
from emulator.errors import LabError, SpecError
from emulator.guest_text.printable import visible
from emulator.program import called
from emulator.snapshots.room import DAY_S, KEEP_AGE_S
from emulator.snapshots.store import (
    CACHE_BYTES,
    CachedSnapshot,
    list_snapshots,
    remove_snapshots,
    surplus,
)
from harness.cells.shipped import find_matrix
from harness.commands import print_table, say, spaced
from harness.commands.run import choose_cells, default_matrix

EXAMPLES = """Examples:
  ttylab snapshots list                        what is kept, and how much disk it takes
  ttylab snapshots build                       every snapshot for the default matrix
  ttylab snapshots build -k "nmi and bullseye" those for some cells
  ttylab snapshots agree RUN OTHER             whether a forked and a booted run agree
  ttylab snapshots prune --max-age 3           remove what has not been used for three days
  ttylab snapshots prune --all                 remove all of them
"""
app = typer.Typer(
    help="Snapshots: guests that have booted once, for scenarios to start from in a fraction of a second."
    "\n\nThey are made when they are first needed, and kept outside the checkout.\n\n" + spaced(EXAMPLES),
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
def list_all(
    *, json: Annotated[bool, Option("--json", help="Print one JSON array, an object for each.")] = False
) -> None:
    """List the snapshots that are kept, the most recently used first.

    Examples: `ttylab snapshots list`, `ttylab snapshots list --json`.
    """
    snapshots = list_snapshots(places.snapshots())
    if json:
        say(json_format.dumps([as_object(snapshot) for snapshot in snapshots], indent=1))
    elif not snapshots:
        every = called("snapshots", "build")
        say(f"No snapshots are kept; `{called('run')}` makes those it needs, `{every}` all of them.")
    else:
        _show_table(snapshots)


@app.command()
def build(
    matrix: Annotated[Path | None, Argument(help="A matrix file.", show_default="as for run")] = None,
    *,
    expression: Annotated[
        str, Option("-k", metavar="EXPR", help="Only for cells whose id or tags match.")
    ] = "",
) -> None:
    """Make the snapshots that a matrix starts from; those that are there and intact stay.

    Exit code 3 if one can't be made: its scenarios then boot, and their reports say why.

    Examples: `ttylab snapshots build`, `ttylab snapshots build ci/nightly.toml -k sysrq`.
    """
    from harness.run.wanted import snapshots_of  # noqa: PLC0415
    from harness.snapshots.lab import Lab  # noqa: PLC0415
    from harness.snapshots.start import ensure_snapshot  # noqa: PLC0415 - it imports everything that runs guests

    path = find_matrix(matrix or default_matrix())
    cells, _ = choose_cells(path, expression=expression, shard="")
    if not cells:
        raise SpecError(f"{path}: no cell matches -k {expression!r}")
    lab, problems = Lab(run_dir=Path()), []
    wanted = snapshots_of(cells, lab)
    for number, snapshot in enumerate(wanted, start=1):
        say(f"[{number}/{len(wanted)}] {snapshot.label} {snapshot.stage} ", nl=False)
        try:
            made = ensure_snapshot(lab, snapshot)
        except LabError as error:
            problems.append(str(error).splitlines()[0])
            say(f"failed: {problems[-1]}")
        else:
            say(f"{made.manifest.key[:12]} (a boot of {made.manifest.boot_s:.1f} s)")
    if problems:
        raise LabError(
            f"{len(problems)} of {len(wanted)} snapshots could not be made; the first: {problems[0]}"
        )


@app.command()
def agree(
    run: Annotated[Path, Argument(metavar="RUN", help="A run: its directory, or its run.json.")],
    other: Annotated[Path, Argument(metavar="OTHER", help="The same cells, run the other way.")],
) -> int:
    """Compare the verdicts of a run that forked its guests with those of one that booted them.

    Exit code 1 if a cell's verdict, reason or deciding step differs.

    Example: `ttylab run --run-dir forked`, `ttylab run --cold --run-dir cold`, and
    `ttylab snapshots agree forked cold`.
    """
    from harness.report.comparison import disagreements  # noqa: PLC0415
    from harness.report.model import load_run  # noqa: PLC0415

    ours, theirs = load_run(run), load_run(other)
    found = disagreements(ours, theirs)
    for cell_id, (left, right) in found.items():
        say(f"{cell_id}: {left}, but {right} in {other}")
    forked = sum(cell.start.startswith("forked") for cell in (*ours.cells, *theirs.cells))
    say(f"{len(ours.cells)} cells, {forked} of them forked in one run: {len(found)} verdicts differ")
    return 1 if found else 0


@app.command()
def prune(
    *,
    every: Annotated[bool, Option("--all", help="Remove every snapshot.")] = False,
    max_age: Annotated[
        float, Option(metavar="DAYS", min=0.0, help="Remove what has not been used for so long.")
    ] = KEEP_AGE_S / DAY_S,
    max_size: Annotated[
        int, Option(metavar="MIB", min=0, help="Keep this many MiB of the most recently used.")
    ] = CACHE_BYTES // 2**20,
) -> None:
    """Remove snapshots that are old, too many or damaged, and what killed runs left unfinished.

    Snapshots used in the last ten minutes stay, except with --all; running machines are not harmed.

    Examples: `ttylab snapshots prune --max-size 2000`, `ttylab snapshots prune --all`.
    """
    root = places.snapshots()
    snapshots = list_snapshots(root)
    gone = snapshots if every else surplus(snapshots, max_age_s=max_age * DAY_S, max_bytes=max_size * 2**20)
    removed = remove_snapshots(root, gone)
    say("\n".join(f"removed {path}" for path in removed) or "Nothing to remove.")


def as_object(snapshot: CachedSnapshot) -> dict[str, object]:
    """Return what `--json` prints for one snapshot; programs rely on these keys."""
    manifest = snapshot.manifest
    return {
        "key": snapshot.directory.name,
        "image": manifest.label if manifest else None,
        "stage": manifest.stage if manifest else None,
        "method": manifest.method.value if manifest else None,
        "qemu": manifest.qemu if manifest else None,
        "accelerator": manifest.accelerator if manifest else None,
        "made_utc": manifest.made_utc if manifest else None,
        "boot_s": manifest.boot_s if manifest else None,
        "size": snapshot.size,
        "unused_s": round(snapshot.unused_s, 1),
    }


def _show_table(snapshots: tuple[CachedSnapshot, ...]) -> None:
    rows = []
    for snapshot in snapshots:
        facts, manifest = ("unreadable", "", "", ""), snapshot.manifest
        if manifest is not None:
            qemu = f"{manifest.qemu} {manifest.accelerator}"
            facts = (manifest.label, manifest.stage, qemu, manifest.made_utc[:19])
        size = f"{snapshot.size / 1e6:.0f}"
        rows.append((snapshot.directory.name[:12], *facts, _words_of(snapshot.unused_s), size))
    print_table(("snapshot", "image", "stage", "QEMU", "made (UTC)", "unused", "MB"), rows)
    for snapshot in snapshots:
        if snapshot.problem:
            remedy = f"{called('snapshots', 'prune')} removes it, --all at once"
            say(visible(f"unreadable: {snapshot.problem.splitlines()[0]}; {remedy}"))
    megabytes = sum(snapshot.size for snapshot in snapshots) / 1e6
    say(f"{len(snapshots)} snapshots, {megabytes:.0f} MB in {places.snapshots()}")


def _words_of(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit, length in (("d", DAY_S), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
