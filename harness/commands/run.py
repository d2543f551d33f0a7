"""`ttylab run`: a matrix of scenarios on real guests, in parallel, with a report at the end."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from emulator.errors import SpecError
from emulator.files import write_whole
from emulator.guest_text.printable import visible
from emulator.places import RESULTS
from harness.commands import say

if TYPE_CHECKING:
    from harness.cells.cell import Cell

DEFAULT_MATRIX = Path("ci/push.toml")

USELESS_PLUGINS = ("anyio", "hypothesispytest", "schemathesis", "threadexception", "unraisableexception")
"""pytest plug-ins that no cell needs: importing the first three would take most of a worker's start, and the
others fail whatever comes after a worker that was killed."""

EXAMPLES = """Examples:

  ttylab run                             the default matrix, ci/push.toml

  ttylab run ci/nightly.toml             another one

  ttylab run -k "nmi and q35"            cells whose id or tags match, as pytest's -k

  ttylab run --shard 2/5                 the second fifth, for CI on several machines

  ttylab run --list                      what would run, and what would not and why

  ttylab run --list --json               the same for programs

  ttylab run --cold                      boot every machine, even where a snapshot would do

  ttylab run --json result.json          also write the run result to a file
"""


class Command(TyperCommand):
    """`run`, where --json without a value means "-", standard output."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give a bare --json the value "-"."""
        return super().parse_args(ctx, with_json_value(args))


PYTEST_WORDS = (
    *("-p", "harness.plugin.progress", "-p", "no:cacheprovider"),
    *(word for name in USELESS_PLUGINS for word in ("-p", f"no:{name}")),
    "--assert=plain",  # a cell asserts nothing, and rewriting all of ttylab costs each worker seconds
)


def with_json_value(args: Iterable[str]) -> list[str]:
    """Return `args` with "-" added to every --json that is last or followed by another option."""
    given = list(args)
    filled: list[str] = []
    for index, word in enumerate(given):
        filled.append(word)
        following = given[index + 1] if index + 1 < len(given) else "--"
        if word == "--json" and following.startswith("-") and following != "-":
            filled.append("-")
    return filled


_Expression = Annotated[str, typer.Option("-k", metavar="EXPR", help="Only cells whose id or tags match.")]
_Jobs = Annotated[str, typer.Option("-n", "--jobs", help="Guests at once; auto: by cores and memory.")]


def run(
    matrix: Annotated[Path, typer.Argument(help="A matrix file.")] = DEFAULT_MATRIX,
    *,
    expression: _Expression = "",
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only part I of N.")] = "",
    jobs: _Jobs = "auto",
    listing: Annotated[bool, typer.Option("--list", help="Show the cells, run nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Read matrix and options, run nothing.")] = False,
    json: Annotated[str, typer.Option("--json", metavar="[FILE]", help="Write JSON to FILE, or -.")] = "",
    run_dir: Annotated[Path | None, typer.Option(help="Where evidence goes; default: results/ID.")] = None,
    time_scale: Annotated[float, typer.Option(help="Multiply every wait, for slow hosts.")] = 1.0,
    compare: Annotated[Path | None, typer.Option(help="An earlier run to compare with.")] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Boot every machine, fork none.")] = False,
    allure: Annotated[bool, typer.Option(help="Make Allure's report too.")] = True,
) -> None:
    """Run a matrix of scenarios on real guests and write the report.

    Scenarios that do not test booting start from snapshots of booted guests (`ttylab snapshots`).
    Exit code 0: all passed, 1: a guest failed, 2: wrong input, 3: the lab broke.
    """
    _require_jobs(jobs)
    _require_place(json)
    cells, excluded = choose_cells(matrix, expression=expression, shard=shard)
    if listing:
        _show(cells, excluded, json=json)
        return
    _require_cells(cells, matrix, expression=expression, shard=shard)
    _require_run(compare)
    if check:
        return
    from emulator.machine.qemu_binary import find_qemu  # noqa: PLC0415
    from harness.plugin.process import become_pytest  # noqa: PLC0415
    from harness.plugin.run_recorder import new_run_id  # noqa: PLC0415 - it imports everything that runs guests

    find_qemu()  # once, rather than each cell reporting that there is none
    run_dir = (run_dir or RESULTS / new_run_id()).absolute()
    options = {"--shard": shard, "--run-json": json, "--compare": compare}
    open_images(cells)
    code = become_pytest(
        [
            *PYTEST_WORDS,
            str(matrix),
            *(["-k", expression] if expression else []),
            *(f"{option}={value}" for option, value in options.items() if value),
            f"--time-scale={time_scale}",
            *(["--cold"] if cold else []),
            *(
                [f"--alluredir={run_dir / 'allure-results'}", "--allure-html"]
                if allure
                else ["-p", "no:allure_pytest"]
            ),
            *_workers(jobs, len(cells)),
        ],
        run_dir=run_dir,
    )
    raise typer.Exit(code)


def _workers(jobs: str, cells: int) -> tuple[str, ...]:
    """Return who plays the cells: workers of xdist, or one that is forked and so is there at once."""
    if jobs == "1" or cells == 1:
        return ("-n", "0", "-p", "harness.plugin.apart")
    return ("-n", jobs, f"--maxprocesses={cells}", "--dist", "load", "--maxschedchunk", "1")


def open_images(cells: Iterable[Cell]) -> None:
    """Build what these cells need and is not there yet, and nothing else, where it can be shown.

    Raises:
        SpecError, ImageError, MissingPrerequisite: an image can't be had.
    """
    from emulator.guest_images.kinds import open_image  # noqa: PLC0415

    for name in sorted({cell.image for cell in cells}):
        open_image(name)


def _require_run(compare: Path | None) -> None:
    """Refuse a run to compare with that can't be read: hours later would be too late to say so."""
    if compare is not None:
        from harness.report.model import load_run  # noqa: PLC0415

        load_run(compare)


def _require_place(json: str) -> None:
    if json not in {"", "-"} and not Path(json).absolute().parent.is_dir():
        raise SpecError(f"--json {json}: there is no directory {Path(json).parent}")


def _require_jobs(jobs: str) -> None:
    if jobs != "auto" and not (jobs.isdigit() and int(jobs) > 0):
        raise SpecError(f"--jobs is {jobs!r}; allowed: auto, or a number from 1 on")


def _require_cells(cells: tuple[Cell, ...], matrix: Path, *, expression: str, shard: str) -> None:
    if not cells:
        where = f" in shard {shard}" if shard else ""
        raise SpecError(f"{matrix}: no cell matches -k {expression!r}{where}")


def choose_cells(
    path: Path, *, expression: str, shard: str
) -> tuple[tuple[Cell, ...], list[tuple[Cell, str]]]:
    """Return the cells that a run would play, and those that the matrix excludes, with reasons.

    Raises:
        SpecError: the matrix, the shard or the expression is wrong.
    """
    from emulator.guest_images.kinds import registry_problem  # noqa: PLC0415
    from harness.cells.cell import parse_shard, select  # noqa: PLC0415
    from harness.cells.cell import shard as take_shard  # noqa: PLC0415
    from harness.cells.matrix import read_matrix  # noqa: PLC0415

    if problem := registry_problem():
        say(f"ttylab: your own images are left out: {visible(problem)}", err=True)
    matrix = read_matrix(path)
    cells = take_shard(matrix.cells, *parse_shard(shard)) if shard else matrix.cells
    chosen = select(cells, expression, tags=words_of_scenarios(path))
    return chosen, [(one.cell, one.reason) for one in matrix.excluded]


def words_of_scenarios(matrix: Path) -> dict[str, set[str]]:
    """Return, by scenario, the words besides a cell's id that pytest's -k finds."""
    from harness.cells.cell import mark_name  # noqa: PLC0415
    from harness.scenarios import library  # noqa: PLC0415

    common = {matrix.name, "test_cell", "parametrize"}
    return {name: common | {mark_name(tag) for tag in one.tags} for name, one in library().items()}


def _show(cells: Iterable[Cell], excluded: list[tuple[Cell, str]], *, json: str) -> None:
    text = json_format.dumps([cell.words() for cell in cells], indent=1)
    if json not in {"", "-"}:
        write_whole(Path(json), f"{text}\n".encode())
        return
    if json:
        say(text)
        return
    for cell in cells:
        say(cell.id)
    for cell, reason in excluded:
        say(f"# not run: {cell.id}: {reason}")
