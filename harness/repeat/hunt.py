"""A hunt: what is asked for, playing the repetitions of its plan, and their summary."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
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
from harness.repeat.plan import SHIFTS, Jitter, Repetition, draw_repetition, parse_jitter
from harness.repeat.summary import Ending, Hunt, Summary, summarise
from harness.repeat.text import HuntProgress
from harness.repeat.workers import Job, Workers
from harness.run.held import parse_minutes
from harness.run.interrupts import enter_key
from harness.run.lab import Lab, cell_workers
from harness.run.latest import new_run_id
from harness.run.repro import find_run
from harness.run.wanted import wanted_of
from harness.scenario.scenario import Scenario
from harness.scenario.verdict import Status
from harness.scenarios import find_scenario
from harness.snapshots.start import ensure_snapshot
from harness.targets import target_of

AUTO = "auto"
DEFAULT_COUNT = 200
SEEDS = 2**31
_LOOK_S = 0.2
RESULT = "repeat.json"
"""In the hunt's directory: what --json prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntRequest:
    """The options of `ttylab repeat`, as given.

    Attributes:
        cell: id.
        count: repetitions; None: 200, or no limit if `seconds` is set.
        jobs: "auto" or a number.
        jitter: kinds, "none", or empty for every kind that the machine can do.
        seed: of the plan; None: a random one.
        only: the one repetition to play; None: all.
        seconds: after which no more are started.
        stop_on_failure: whether none is started after a failure.
        keep: whether all evidence is kept.
        cold: whether every machine is booted.
        time_scale: factor on every wait.
        port: URL of the serial port where the guest is; empty: a machine of ttylab's own.
        hold_on_failure: minutes for which the guest of the first failure is held; empty: not at all.

    Raises:
        SpecError: an option is wrong, or does not go with another.
    """

    cell: str
    count: int | None = None
    jobs: str = AUTO
    jitter: str = ""
    seed: int | None = None
    only: int | None = None
    seconds: float | None = None
    stop_on_failure: bool = False
    keep: bool = False
    cold: bool = False
    time_scale: float = 1.0
    port: str = ""
    hold_on_failure: str = ""

    def __post_init__(self) -> None:
        """Refuse wrong options before anything is started."""
        if self.jobs != AUTO and not (self.jobs.isdecimal() and int(self.jobs) > 0):
            raise SpecError(f"--jobs is {self.jobs!r}; allowed: {AUTO}, or a number from 1 on")
        if self.time_scale <= 0:
            raise SpecError(f"--time-scale is {self.time_scale}; allowed: above 0")
        if self.seconds is not None and self.seconds <= 0:
            raise SpecError(f"--for is {self.seconds:g}; allowed: above 0 s")
        if self.only is not None and (self.seed is None or self.count is not None):
            raise SpecError("--only plays one repetition of a plan: it needs --seed, and takes no -n")
        if self.jitter:
            parse_jitter(self.jitter)
        if self.hold_on_failure:
            parse_minutes(self.hold_on_failure)

    @property
    def elsewhere(self) -> bool:
        """Whether the guest is no machine of ttylab's: behind a port, or a board."""
        return bool(self.port) or self.cell.rsplit(".", 4)[1:2] == [BOARD]

    @property
    def planned(self) -> int | None:
        """Number of repetitions; None: limited only by time."""
        if self.only is not None:
            return 1
        return self.count if self.count is not None or self.seconds is not None else DEFAULT_COUNT

    def kinds(self, *, vcpus: int, tcg: bool) -> frozenset[Jitter]:
        """Return the kinds of jitter; raises SpecError if icount is asked for where it is impossible.

        That is under KVM (without `tcg`), with several `vcpus`, and on a board.
        """
        kinds = parse_jitter(self.jitter) if self.jitter else frozenset(Jitter)
        if self.elsewhere:
            why = "the instructions of a board can't be counted"
        elif not tcg:
            why = "guests run under KVM here"
        else:
            why = f"the cell has {vcpus} vCPUs" if vcpus > 1 else ""
        if not why or Jitter.ICOUNT not in kinds:
            return kinds
        if self.jitter:
            raise SpecError(f"--jitter is {self.jitter!r}; allowed: no {Jitter.ICOUNT}, as {why}")
        return kinds - {Jitter.ICOUNT}

    def make_hunt(self, *, seed: int, kinds: frozenset[Jitter], workers: int) -> Hunt:
        """Return the hunt, with `workers` at once unless the options say otherwise."""
        jobs = 1 if self.elsewhere else workers if self.jobs == AUTO else int(self.jobs)
        options = ["--cold"] if self.cold else []
        lab = os.environ.get(VARIABLE)
        options += ["--lab", lab] if lab else []
        options += ["--port", self.port] if self.port else []
        if self.time_scale != 1:
            options += ["--time-scale", f"{self.time_scale:g}"]
        return Hunt(
            cell=self.cell,
            seed=seed,
            kinds=kinds,
            planned=self.planned,
            jobs=jobs if self.planned is None else max(1, min(jobs, self.planned)),
            options=tuple(options),
        )

    def plan(self, hunt: Hunt, scenario: Scenario) -> Iterator[Repetition]:
        """Yield the repetitions of `hunt`, endlessly if no number is planned."""
        first = self.only or 1
        for number in count(first) if self.planned is None else range(first, first + self.planned):
            yield draw_repetition(number, seed=hunt.seed, kinds=hunt.kinds, scenario=scenario)


@dataclass(slots=True, kw_only=True)
class HuntRun:
    """A hunt in progress.

    Attributes:
        job: what is repeated.
        plan: the repetitions, in order; may be endless if `seconds` is set.
        seconds: after which no more are started; None: no limit.
        stop_on_failure: whether none is started after a failure.
        notes: for the summary.
        on_ending: called with each ending.
    """

    job: Job
    plan: Iterable[Repetition]
    seconds: float | None = None
    stop_on_failure: bool = False
    notes: tuple[str, ...] = ()
    on_ending: Callable[[Ending], None] = lambda _ending: None
    clock: Clock = SYSTEM_CLOCK
    _endings: list[Ending] = field(default_factory=list)

    def run(self) -> Summary:
        """Play and return the summary, after Ctrl-C of what had ended by then; raises SpecError."""
        began = self.clock.monotonic()
        interrupted = False
        try:
            with Workers(job=self.job, size=self.job.hunt.jobs, clock=self.clock) as workers:
                for ending in workers.play(self._wanted(began)):
                    self._endings.append(ending)
                    self.on_ending(ending)
                self._stay()
        except KeyboardInterrupt:
            interrupted = True
        return summarise(
            self.job.hunt,
            self._endings,
            duration_s=self.clock.monotonic() - began,
            interrupted=interrupted,
            stopped=self._has_failed() and self.stop_on_failure,
            notes=self.notes,
        )

    def _wanted(self, began: float) -> Iterator[Repetition]:
        for repetition in self.plan:
            late = self.seconds is not None and self.clock.monotonic() - began >= self.seconds
            if late or (self.stop_on_failure and self._has_failed()):
                return
            yield repetition

    def _stay(self) -> None:
        """Wait until people have left the guest that a worker holds."""
        with (
            suppress(KeyboardInterrupt),
            self.job.holding(is_worker=False) as holding,
            enter_key() as entered,
        ):
            while holding is not None and holding.entries() and not entered():
                self.clock.sleep(_LOOK_S)

    def _has_failed(self) -> bool:
        return any(ending.status is Status.FAILED for ending in self._endings)


def hunt(request: HuntRequest, run_dir: Path | None) -> Summary:
    """Do a hunt, and leave its summary in `run_dir`, or in a new directory under results/.

    Raises SpecError if there is no such cell, it can't be played, or the directory is not empty;
    EmulatorError.
    """
    cell, scenario = find_cell(request.cell, port=request.port)
    directory = _new_directory(run_dir)
    job, notes = _prepare(request, cell, scenario, directory)
    run = HuntRun(
        job=job,
        plan=request.plan(job.hunt, scenario),
        seconds=request.seconds,
        stop_on_failure=request.stop_on_failure or bool(request.hold_on_failure),
        notes=notes,
    )
    with HuntProgress(job.hunt.planned) as progress:
        run.on_ending = progress.show
        summary = run.run()
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
        hunt=request.make_hunt(seed=seed, kinds=kinds, workers=cell_workers()),
        run_dir=directory,
        time_scale=request.time_scale,
        cold=request.cold,
        keep=request.keep or request.only is not None,
        port=request.port,
        hold_minutes=parse_minutes(request.hold_on_failure) if request.hold_on_failure else 0.0,
    )
    why = make_snapshots(job, lab, SHIFTS if Jitter.ICOUNT in kinds else (None,))
    return (replace(job, cold=True), (f"every machine was booted: {why}",)) if why else (job, ())


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
    if job.cold or job.port or job.cell.machine == BOARD or wanted.stage is None:
        return ""
    for shift in shifts:
        try:
            ensure_snapshot(lab, replace(wanted, spec=replace(wanted.spec, icount_shift=shift)))
        except (LabError, MissingPrerequisite) as error:
            return f"no snapshot at {wanted.stage}: {str(error).splitlines()[0]}"
    return ""
