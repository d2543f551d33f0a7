"""From the words of `ttylab repeat` to a summary: look up, make states, play, write."""

from __future__ import annotations

import secrets
import sys
from dataclasses import replace
from pathlib import Path

from emulator.errors import SpecError
from harness.cells.cell import Cell, parse_cell_id
from harness.cells.fit import misfit
from harness.cells.known import image_features
from harness.lab import cell_workers
from harness.plugin.run_recorder import new_run_id
from harness.repeat.hunt import HuntRun, make_states
from harness.repeat.plan import SHIFTS, Jitter
from harness.repeat.progress import HuntProgress
from harness.repeat.request import HuntRequest
from harness.repeat.summary import Summary
from harness.repeat.worker import Job
from harness.report.staging import write_whole
from harness.scenario import Scenario
from harness.scenarios import LIBRARY, find_scenario

SEEDS = 2**31
RESULT = "repeat.json"
"""In the hunt's directory: what --json prints."""


def hunt(request: HuntRequest, run_dir: Path | None) -> Summary:
    """Do what is asked, and leave the summary in the hunt's directory.

    Args:
        request: what to do.
        run_dir: where; None: a new directory under results/.

    Raises:
        SpecError: there is no such cell, it can't be, or the directory is not empty.
        EmulatorError: the image or QEMU can't be had.
        ReportError: the summary can't be written.
    """
    cell, scenario = find_cell(request.cell)
    directory = _new_directory(run_dir)
    job, notes = _prepare(request, cell, scenario, directory)
    run = HuntRun(
        job=job,
        plan=request.plan(job.hunt, scenario),
        seconds=request.seconds,
        stop_on_failure=request.stop_on_failure,
        notes=notes,
    )
    with HuntProgress(job.hunt.planned) as progress:
        run.on_ending = progress.show
        summary = run.run()
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / RESULT, f"{summary.to_json()}\n".encode())
    return summary


def find_cell(cell_id: str) -> tuple[Cell, Scenario]:
    """Return a cell and its scenario.

    Raises:
        SpecError: there is no such cell, or it can't be: the text says why.
    """
    features = image_features()
    cell = parse_cell_id(cell_id, images=features, scenarios=LIBRARY)
    scenario = find_scenario(cell.scenario)
    reason = misfit(cell, scenario, features[cell.image])
    if reason is not None:
        raise SpecError(f"cell {cell.id} can't be played: {reason}")
    return cell, scenario


def _prepare(
    request: HuntRequest, cell: Cell, scenario: Scenario, directory: Path
) -> tuple[Job, tuple[str, ...]]:
    """Return what workers are told, once all that they share is there."""
    plain = request.make_hunt(seed=0, kinds=frozenset(), workers=cell_workers())
    job = Job(
        cell=cell,
        scenario=scenario,
        hunt=plain,
        run_dir=directory,
        time_scale=request.time_scale,
        cold=request.cold,
        keep=request.keep or request.only is not None,
    )
    lab = job.open_lab()
    lab.guest_image(cell.image)
    kinds = request.kinds(vcpus=cell.vcpus, tcg=lab.choice(cell.machine).accelerator == "tcg")
    seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
    sys.stderr.write(f"ttylab: repeating {cell.id} with seed {seed}, evidence in {directory}\n")
    why = make_states(job, lab, SHIFTS if Jitter.ICOUNT in kinds else (None,))
    job = replace(
        job,
        hunt=request.make_hunt(seed=seed, kinds=kinds, workers=cell_workers()),
        cold=job.cold or bool(why),
    )
    return job, (f"every machine was booted: {why}",) if why else ()


def _new_directory(wanted: Path | None) -> Path:
    path = (wanted or Path("results") / f"repeat-{new_run_id()}").absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise SpecError(f"--run-dir is {path}, which is there already; allowed: a new directory")
    return path
