"""A hunt: playing the repetitions of its plan, and their summary."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Clock
from emulator.errors import LabError, MissingPrerequisite, SpecError
from emulator.files import write_whole
from emulator.guest_images.board import BOARD
from emulator.guest_images.kinds import image_features
from emulator.lab_file.read import VARIABLE
from emulator.places import RESULTS
from harness.cells.cell import Cell
from harness.cells.matrix import known_cell, misfit
from harness.repeat.plan import SHIFTS, Jitter, Repetition, draw_repetition
from harness.repeat.request import AUTO, HuntRequest
from harness.repeat.summary import Ending, Hunt, Summary
from harness.repeat.text import hunt_progress
from harness.repeat.workers import Job, Workers
from harness.run.interrupts import enter_key
from harness.run.latest import new_run_id
from harness.run.repro import find_run
from harness.run.wanted import wanted_of
from harness.scenario.scenario import Scenario
from harness.scenario.verdict import Status
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab, cell_workers
from harness.snapshots.start import ensure_snapshot
from harness.targets import target_of

SEEDS = 2**31
_LOOK_S = 0.2
RESULT = "repeat.json"
"""In the hunt's directory: what --json prints."""


def make_hunt(request: HuntRequest, *, seed: int, kinds: frozenset[Jitter], workers: int) -> Hunt:
    """Return the hunt, with `workers` at once unless the options say otherwise."""
    jobs = 1 if request.elsewhere else workers if request.jobs == AUTO else int(request.jobs)
    options = ["--cold"] if request.cold else []
    lab = os.environ.get(VARIABLE)
    options += ["--lab", lab] if lab else []
    options += ["--port", request.port] if request.port else []
    if request.time_scale != 1:
        options += ["--time-scale", f"{request.time_scale:g}"]
    return Hunt(
        cell=request.cell,
        seed=seed,
        kinds=kinds,
        planned=request.planned,
        jobs=jobs if request.planned is None else max(1, min(jobs, request.planned)),
        options=tuple(options),
    )


def plan(request: HuntRequest, hunt: Hunt, scenario: Scenario) -> Iterator[Repetition]:
    """Yield the repetitions of `hunt`, endlessly if no number is planned."""
    first = request.only or 1
    for number in count(first) if hunt.planned is None else range(first, first + hunt.planned):
        yield draw_repetition(number, seed=hunt.seed, kinds=hunt.kinds, scenario=scenario)


def play_hunt(
    job: Job,
    repetitions: Iterable[Repetition],
    *,
    notes: tuple[str, ...] = (),
    on_ending: Callable[[Ending], None] = lambda _ending: None,
    clock: Clock = SYSTEM_CLOCK,
) -> Summary:
    """Play, call `on_ending` with each ending, and return the summary with `notes`; raises SpecError.

    The repetitions may be endless where the request limits the time. After Ctrl-C the summary is of what had
    ended by then.
    """
    request, began, endings, interrupted = job.request, clock.monotonic(), list[Ending](), False

    def has_failed() -> bool:
        return any(ending.status is Status.FAILED for ending in endings)

    def wanted() -> Iterator[Repetition]:
        for repetition in repetitions:
            late = request.seconds is not None and clock.monotonic() - began >= request.seconds
            if late or (request.stops_at_failure and has_failed()):
                return
            yield repetition

    try:
        with Workers(job=job, size=job.hunt.jobs, clock=clock) as workers:
            for ending in workers.play(wanted()):
                endings.append(ending)
                on_ending(ending)
            _stay(job, clock)
    except KeyboardInterrupt:
        interrupted = True
    return Summary(
        hunt=job.hunt,
        endings=tuple(sorted(endings, key=lambda one: one.repetition.number)),
        duration_s=clock.monotonic() - began,
        interrupted=interrupted,
        stopped=has_failed() and request.stops_at_failure,
        notes=notes,
    )


def _stay(job: Job, clock: Clock) -> None:
    """Wait until people have left the guest that a worker holds."""
    with suppress(KeyboardInterrupt), job.holding(is_worker=False) as holding, enter_key() as entered:
        while holding is not None and holding.entries() and not entered():
            clock.sleep(_LOOK_S)


def hunt(request: HuntRequest, run_dir: Path | None) -> Summary:
    """Do a hunt, and leave its summary in `run_dir`, or in a new directory under results/.

    Raises SpecError if there is no such cell, it can't be played, or the directory is not empty;
    EmulatorError.
    """
    cell, scenario = find_cell(request.cell, port=request.port)
    directory = _new_directory(run_dir)
    job, notes = _prepare(request, cell, scenario, directory)
    repetitions = plan(request, job.hunt, scenario)
    with hunt_progress(job.hunt.planned) as show:
        summary = play_hunt(job, repetitions, notes=notes, on_ending=show)
    write_whole(directory / RESULT, f"{summary.to_json()}\n".encode(), parents=True, private=True)
    return summary


def find_cell(cell_id: str, *, port: str = "") -> tuple[Cell, Scenario]:
    """Return a cell, to be played on `port` if it has one, and its scenario; raises SpecError."""
    if cell_id.rsplit(".", 4)[0] not in image_features():
        find_run(cell_id, None)  # a file that was given to `ttylab run` is known to that run
    cell = known_cell(cell_id)
    scenario, target = find_scenario(cell.scenario), target_of(cell.image, cell.machine, port)
    reason = misfit(cell, scenario, image_features()[cell.image], target=target)
    if reason is not None:
        raise SpecError(f"cell {cell.id} can't be played: {reason}")
    return cell, scenario


def _prepare(
    request: HuntRequest, cell: Cell, scenario: Scenario, directory: Path
) -> tuple[Job, tuple[str, ...]]:
    """Return the workers' job and notes for the summary, once everything that they share is there."""
    lab = Lab(run_dir=directory, time_scale=request.time_scale, cold=request.cold)
    spec = wanted_of(cell, scenario, lab.guest_image(cell.image)).spec
    tcg = request.elsewhere or lab.choice(spec).accelerator == "tcg"
    kinds = request.kinds(vcpus=cell.vcpus, tcg=tcg)
    seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
    sys.stderr.write(f"ttylab: repeating {cell.id} with seed {seed}, evidence in {directory}\n")
    job = Job(
        cell=cell,
        scenario=scenario,
        request=request,
        hunt=make_hunt(request, seed=seed, kinds=kinds, workers=cell_workers()),
        run_dir=directory,
    )
    why = make_snapshots(job, lab, SHIFTS if Jitter.ICOUNT in kinds else (None,))
    if not why:
        return job, ()
    return replace(job, request=replace(request, cold=True)), (f"every machine was booted: {why}",)


def _new_directory(wanted: Path | None) -> Path:
    path = (wanted or RESULTS / f"repeat-{new_run_id()}").absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise SpecError(f"--run-dir is {path}, which exists already; allowed: a new directory")
    return path


def make_snapshots(job: Job, lab: Lab, shifts: Iterable[int | None]) -> str:
    """Make the snapshots that the repetitions start from, while nothing disturbs the host.

    Returns why there is none, so that every machine must be booted; empty if all is as requested.
    """
    wanted = wanted_of(job.cell, job.scenario, lab.guest_image(job.cell.image))
    if job.request.cold or job.request.port or job.cell.machine == BOARD or wanted.stage is None:
        return ""
    for shift in shifts:
        try:
            ensure_snapshot(lab, replace(wanted, spec=replace(wanted.spec, icount_shift=shift)))
        except (LabError, MissingPrerequisite) as error:
            return f"no snapshot at {wanted.stage}: {str(error).splitlines()[0]}"
    return ""
