"""`ttylab run`: a matrix of scenarios on real guests, in parallel, with a report at the end."""

from __future__ import annotations

import json as json_format
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from emulator.errors import EmulatorError, SpecError
from emulator.files import write_whole
from emulator.guest_text.printable import visible
from emulator.places import RESULTS
from harness.cells.shipped import DEFAULT_MATRIX, find_matrix
from harness.commands import say, with_options
from harness.commands.options import Hold, HoldCommand
from harness.commands.own_options import OwnOptions, matrix_of
from harness.scenario.exit_codes import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from harness.cells.cell import Cell
    from harness.cells.matrix import Excluded

USELESS_PLUGINS = ("anyio", "hypothesispytest", "schemathesis", "threadexception", "unraisableexception")
"""pytest plug-ins that no cell needs: importing the first three would take most of a worker's start, and the
others fail whatever comes after a worker that was killed."""

EXAMPLES = """Examples:
  ttylab run                             the default matrix, ci/push.toml or the one that ttylab ships
  ttylab run nightly                     another that it ships (push, nightly, service), or a file of yours
  ttylab run --kernel out/bzImage        its Linux cells on your own kernel; --modules, --initrd, --append
  ttylab run --disk server.qcow2 -k nmi  on your own disk, which is never written
  ttylab run -k "nmi and q35"            cells whose id or tags match, as pytest's -k; an id: that cell alone
  ttylab run --shard 2/5                 the second fifth, for CI on several machines
  ttylab run --list                      what would run, and what would not and why
  ttylab run --list --json               the same for programs
  ttylab run --cold                      boot every machine, even where a snapshot would do
  ttylab run --hold-on-failure=30        keep the guests of failed cells half an hour, to attach to
  ttylab run --json result.json          also write the run result to a file
"""


class Command(HoldCommand):
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


_Expression = Annotated[
    str, Option("-k", metavar="EXPR", help="Only cells with this id, or whose id or tags match.")
]
_Jobs = Annotated[str, Option("-n", "--jobs", help="Guests at once; auto: by cores and memory.")]
_Matrix = Annotated[
    Path | None,
    Argument(help="A matrix file, or a shipped one's name.", show_default="lab.toml's, else push"),
]


@with_options("own", OwnOptions)
def run(
    matrix: _Matrix = None,
    *,
    expression: _Expression = "",
    shard: Annotated[str, Option(metavar="I/N", help="Only part I of N.")] = "",
    jobs: _Jobs = "auto",
    listing: Annotated[bool, Option("--list", help="Show the cells, run nothing.")] = False,
    check: Annotated[bool, Option("--check", help="Read matrix and options, run nothing.")] = False,
    json: Annotated[str, Option("--json", metavar="[FILE]", help="Write JSON to FILE, or -.")] = "",
    run_dir: Annotated[Path | None, Option(help="Where evidence goes; default: results/ID.")] = None,
    time_scale: Annotated[float, Option(help="Multiply every wait, for slow hosts.")] = 1.0,
    compare: Annotated[Path | None, Option(help="An earlier run to compare with.")] = None,
    cold: Annotated[bool, Option("--cold", help="Boot every machine, fork none.")] = False,
    hold: Hold = "",
    allure: Annotated[bool, Option(help="Make Allure's report too.")] = True,
    own: OwnOptions,
) -> None:
    """Run a matrix of scenarios on real guests and write the report.

    --kernel and --disk play its Linux cells on a file of yours. Scenarios that do not test booting start from
    snapshots of booted guests (`ttylab snapshots`).
    Exit code 0: all passed, 1: a guest failed, 2: wrong input, 3: the lab broke.
    """
    _require_words(jobs, json, hold)
    path = find_matrix(matrix or default_matrix())
    run_dir = None if listing or check else _new_run_dir(run_dir)
    with matrix_of(own, path, run_dir=run_dir) as chosen:
        cells, excluded = choose_cells(chosen, expression=expression, shard=shard)
        if not (cells or (listing and excluded)):
            raise _no_cells(excluded, path, expression=expression, shard=shard)
        _require_lab(cells)
        if listing:
            _show(cells, excluded, json=json)
            return
        _require_run(compare)
        if run_dir is None:
            return
        _tell(excluded)
        options = {"--cells": expression, "--shard": shard, "--run-json": json, "--compare": compare}
        options["--hold-on-failure"] = hold
        words = [f"{option}={value}" for option, value in options.items() if value]
        words += [
            f"--time-scale={time_scale}",
            *(["--cold"] if cold else []),
            *_sharing(cells, jobs, hold=bool(hold)),
        ]
        code = _play(chosen, cells, words, run_dir=run_dir, allure=allure)
    if code == EXIT_INTERRUPTED:
        sys.exit(code)  # an Exit would have "interrupted" said behind the run's last words
    raise typer.Exit(code)


def default_matrix() -> Path:
    """Return what is played where no matrix is named: what lab.toml says, else the shipped one."""
    from emulator.lab_file.read import current_lab  # noqa: PLC0415

    return current_lab().lab.matrix or DEFAULT_MATRIX


def _new_run_dir(given: Path | None) -> Path:
    from harness.run.latest import new_run_id  # noqa: PLC0415

    if given is not None and given.exists() and not given.is_dir():
        raise SpecError(f"--run-dir {given}: it is there, and no directory")
    return (given or RESULTS / new_run_id()).absolute()


def _play(matrix: Path, cells: tuple[Cell, ...], words: list[str], *, run_dir: Path, allure: bool) -> int:
    from emulator.guest_images.board import BOARD  # noqa: PLC0415 - pydantic
    from harness.plugin.process import become_pytest  # noqa: PLC0415

    _require_programs(cell for cell in cells if cell.machine != BOARD)
    open_images(cells)
    wanted = _allure_words(run_dir) if allure else _NO_ALLURE
    return become_pytest([*PYTEST_WORDS, str(matrix), *words, *wanted], run_dir=run_dir)


_NO_ALLURE = ("-p", "no:allure_pytest")


def _allure_words(run_dir: Path) -> tuple[str, ...]:
    """Return the words for Allure's report, fetched where nobody has yet; without it the others are made."""
    from harness.report.node_setup import PACKAGES  # noqa: PLC0415

    if PACKAGES.find() is None:
        say("ttylab: fetching Allure for its report, with npm, once", err=True)
    try:
        PACKAGES.ensure()
    except EmulatorError as error:
        say(f"ttylab: no Allure report: {error}", err=True)
        return _NO_ALLURE
    return (f"--alluredir={run_dir / 'allure-results'}", "--allure-html")


def _sharing(cells: tuple[Cell, ...], jobs: str, *, hold: bool) -> tuple[str, ...]:
    """Return the words for who plays: one worker is forked and so is there at once, more are xdist's.

    The cells of one board stay on one worker, which waits for no other. Boards cost this host nothing: where
    there is nothing else, each has its worker. What holds guests is a worker of xdist.
    """
    from emulator.guest_images.board import BOARD  # noqa: PLC0415 - pydantic

    boards = {cell.image for cell in cells if cell.machine == BOARD}
    if jobs == "auto" and boards and all(cell.machine == BOARD for cell in cells):
        jobs = str(len(boards))
    if not hold and (jobs == "1" or len(cells) == 1):
        return ("-n", "0", "-p", "harness.plugin.apart")
    return (
        *("-n", jobs, f"--maxprocesses={len(cells)}"),
        *(("--dist", "loadgroup") if boards else ("--dist", "load", "--maxschedchunk", "1")),
    )


def open_images(cells: Iterable[Cell]) -> None:
    """Build what these cells need and is not there yet, and nothing else; raises as `open_image`."""
    from emulator.guest_images.kinds import open_image  # noqa: PLC0415

    for name in sorted({cell.image for cell in cells}):
        open_image(name)


def _require_programs(cells: Iterable[Cell]) -> None:
    """Refuse once what each cell would report: that a QEMU or its firmware is missing."""
    from emulator.machine.architectures import architecture_of  # noqa: PLC0415
    from emulator.machine.models import machine_models  # noqa: PLC0415
    from emulator.machine.qemu_binary import find_firmware, find_qemu  # noqa: PLC0415

    models, found = machine_models(), tuple(cells)
    for model in {one.machine: models[one.machine] for one in found}.values():
        find_qemu(model.qemu, architecture=architecture_of(model.base))
    for firmware in sorted({cell.firmware for cell in found}):
        find_firmware(firmware)


def _require_run(compare: Path | None) -> None:
    """Refuse a run to compare with that can't be read: hours later would be too late to say so."""
    if compare is not None:
        from harness.report.model import load_run  # noqa: PLC0415

        load_run(compare)


def _require_words(jobs: str, json: str, hold: str) -> None:
    if json not in {"", "-"} and not Path(json).absolute().parent.is_dir():
        raise SpecError(f"--json {json}: there is no directory {Path(json).parent}")
    if hold:
        from harness.run.held import parse_minutes  # noqa: PLC0415

        parse_minutes(hold)
    if jobs != "auto" and not (jobs.isdigit() and int(jobs) > 0):
        raise SpecError(f"--jobs is {jobs!r}; allowed: auto, or a number from 1 on")


def _require_lab(cells: Iterable[Cell]) -> None:
    """Refuse what each cell would report of the user's own: signatures, images and programs of lab.toml."""
    from emulator.guest_images.own import require_files  # noqa: PLC0415
    from emulator.lab_file.read import current_lab  # noqa: PLC0415
    from emulator.machine.models import find_model  # noqa: PLC0415

    lab = current_lab()
    if lab.lab.signatures:
        from harness.signatures.rules import lab_rules  # noqa: PLC0415 - a third of a start

        lab_rules()
    require_files(frozenset(cell.image for cell in cells))
    for name in sorted({cell.machine for cell in cells} & lab.machines.keys()):
        find_model(name).require_program()


def _no_cells(left_out: Sequence[Excluded], matrix: Path, *, expression: str, shard: str) -> SpecError:
    if shard and not expression:
        from harness.cells.matrix import read_matrix  # noqa: PLC0415 - pydantic

        number = len(read_matrix(matrix).cells)
        return SpecError(
            f"{matrix}: shard {shard} has no cell: there are {number}; allowed: as many shards or fewer"
        )
    where = f" in shard {shard}" if shard else ""
    why = f"; {_left_out(left_out)}" if left_out else ""
    return SpecError(f"{matrix}: no cell matches -k {expression!r}{where}{why}")


def _tell(left_out: Sequence[Excluded]) -> None:
    if left_out:
        say(f"ttylab: {_left_out(left_out)}", err=True)


def _left_out(cells: Sequence[Excluded]) -> str:
    """Return in one line what is not played, and why."""
    from harness.cells.matrix import REASONS_MOST  # noqa: PLC0415 - pydantic

    reasons = [reason for reason, _ in Counter(one.reason for one in cells).most_common()]
    more = f"; {len(reasons) - REASONS_MOST} more reasons" if len(reasons) > REASONS_MOST else ""
    what = f"{cells[0].cell.id} is" if len(cells) == 1 else f"{len(cells)} cells are"
    return f"{what} left out: {'; '.join(reasons[:REASONS_MOST])}{more}"


def choose_cells(path: Path, *, expression: str, shard: str) -> tuple[tuple[Cell, ...], tuple[Excluded, ...]]:
    """Return the cells that a run would play, and those excluded, with reasons; raises SpecError."""
    from emulator.guest_images.kinds import registry_problem  # noqa: PLC0415
    from harness.cells.matrix import chosen_cells, read_matrix  # noqa: PLC0415

    if path.suffix == ".py" or (path.is_dir() and path.suffix != ".toml"):
        raise SpecError(f"{path} is no matrix; tests of your own are run by: pytest {path}")
    if problem := registry_problem():
        say(f"ttylab: your own images are left out: {visible(problem)}", err=True)
    return chosen_cells(read_matrix(path), path, expression=expression, part=shard)


def _show(cells: Iterable[Cell], excluded: Iterable[Excluded], *, json: str) -> None:
    text = json_format.dumps([cell.words() for cell in cells], indent=1)
    if json not in {"", "-"}:
        write_whole(Path(json), f"{text}\n".encode())
        return
    if json:
        say(text)
        return
    for cell in cells:
        say(cell.id)
    for one in excluded:
        say(f"# not run: {one.cell.id}: {one.reason}")
