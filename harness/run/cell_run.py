"""Run one cell: open its machine, play its scenario, judge it, and keep the result beside the transcript."""

from __future__ import annotations

import glob
import itertools
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from emulator.clock import Clock, FairClock, utc_now
from emulator.console.transcript import Transcript, load_transcript
from emulator.errors import EmulatorError, FileError, LaunchError, SpecError
from emulator.files import PRIVATE_DIRECTORY, make_missing, make_private_directory, read_whole
from emulator.guest_images.board import BOARD
from emulator.guest_images.kinds import GuestImage
from emulator.lab_file.read import current_lab
from emulator.machine.run_dir import ARGV_FILE, FIRMWARE_FILE
from emulator.machine.spec import MachineSpec
from emulator.values import JSON_MOST, load_json, parse_json
from harness.cells.cell import Cell
from harness.play.runner import Player
from harness.play.target import Target
from harness.report.model import BAD, RESULT_FILE, CellResult, write_cell
from harness.run.held import BY_HAND, Holding
from harness.run.own_guest import Preparation, prepare, prepared
from harness.run.result import broken, draft_of_cell, judged, repro_of, skipped
from harness.run.wanted import wanted_of
from harness.scenario.errors import Unsupported
from harness.scenario.scenario import Scenario
from harness.scenario.steps import BOOT_S
from harness.scenario.verdict import Reason, Status, Verdict
from harness.snapshots.lab import Lab
from harness.snapshots.start import WantedGuest
from harness.survey.first_boot import Attempt
from harness.targets import find_target
from harness.targets.target_kind import Address, TargetKind, TargetPlace

CELLS = "cells"
"""Directory of the cells' directories inside a run's directory."""
CELL_S = 180.0
"""Seconds that a cell's steps may take together, where a matrix says nothing else."""


@dataclass(slots=True)
class CellRun:
    """One cell about to be run.

    Attributes:
        cell: the cell.
        scenario: the scenario that it names.
        lab: the lab.
        target: what it is played on.
        address: where that is; None for a machine here.
        worker: which worker runs it, for the report.
        time_limit_s: seconds that its steps may take together.
        delays: seconds to wait before a step, by its index.
        icount_shift: how guest time runs on a machine here, as in `MachineSpec`.
        repro: the command that does the same again; empty: `ttylab repro` with the cell and the run.
        directory_name: of the directory for its evidence; empty: the cell's id.
        on_step: called with each step's number and text as it begins.
        holding: keeps the guest if the cell fails; None: it ends with the cell.
    """

    cell: Cell
    scenario: Scenario
    lab: Lab
    target: TargetKind = field(default_factory=find_target)
    address: Address = None
    worker: str = "main"
    time_limit_s: float = CELL_S
    delays: Mapping[int, float] = field(default_factory=dict)
    icount_shift: int | None = None
    repro: str = ""
    directory_name: str = ""
    on_step: Callable[[int, str], None] = lambda _index, _text: None
    holding: Holding | None = None
    _prepared: Preparation = field(init=False, default_factory=Preparation)
    _began: float = field(init=False, default=0.0)
    _draft: CellResult = field(init=False)

    def __post_init__(self) -> None:
        """Fill in what follows from the cell and the lab."""
        port = self.address if isinstance(self.address, str) else ""
        self.directory_name = self.directory_name or self.cell.id
        self.repro = self.repro or repro_of(
            self.cell, run=self.lab.run_shown, port=port, time_scale=self.lab.time_scale
        )

    @property
    def directory(self) -> Path:
        """The directory for its evidence."""
        return self.lab.run_dir / CELLS / self.directory_name

    def run(self) -> CellResult:
        """Run the cell and write its result, which tells all faults but SpecError and FileError."""
        self._draft = draft_of_cell(
            self.cell,
            self.scenario,
            started_utc="",
            worker=self.worker,
            directory=f"{CELLS}/{self.directory_name}",
            target=self.target.name,
            repro=self.repro,
            time_scale=self.lab.time_scale,
            time_limit_s=self.time_limit_s,
        )
        self._begin()
        (self.directory / RESULT_FILE).unlink(missing_ok=True)  # of an earlier run in this directory
        try:
            image = self.lab.guest_image(self.cell.image)
            self._note(image=image.provenance())
            if self.target.is_emulated or self.cell.machine == BOARD:
                self._prepared = prepare(self.cell, self.scenario, image, self.lab)
                self._begin()
            wanted = self._wanted(image)
            self._note(image={**image.provenance(), **self._prepared.found}, seed=wanted.spec.seed)
            self._name_emulator(wanted.spec)
            if self._prepared.in_vain is None or self.holding is not None:  # what is held has to be booted
                result = self._play(wanted, slow=max(1.0, image.boot_timeout_s / BOOT_S))
            else:
                result = self._result_of_first_boot(self._prepared.in_vain)
        except Unsupported as error:
            result = self._judged(Transcript(), given=skipped(str(error)))
        except SpecError:
            raise
        except EmulatorError as error:
            self._note(**self._duration(), argv=self._argv())
            result = self._judged(kept_transcript(self.directory), given=broken(self._said(error)))
        write_cell(result, self.lab.run_dir)
        return result

    def _said(self, error: EmulatorError) -> str:
        """Return what the lab's fault says: words for QEMU that lab.toml has may be why it did not start."""
        own = isinstance(error, LaunchError) and self.cell.machine in current_lab().machines
        return f"machine {self.cell.machine} of lab.toml: {error}" if own else str(error)

    def _result_of_first_boot(self, attempt: Attempt) -> CellResult:
        """Return the result, with its evidence, of a guest that was silent when this run first booted it."""
        if attempt.directory:
            shutil.copytree(self.lab.run_dir / attempt.directory, self.directory, dirs_exist_ok=True)
        message = f"{attempt.problem} (so ended its first boot in this run, {attempt.directory})"
        given = Verdict(status=Status.FAILED, reason=Reason.TIMEOUT, message=message, step=0)
        self._note(**self._duration(), start="not booted again")
        return self._judged(kept_transcript(self.directory), given=given)

    def _begin(self) -> None:
        """Begin to count; again when the target is this cell's own: waiting for others is no part of it."""
        self._began = self.lab.clock.monotonic()
        self._note(started_utc=utc_now().isoformat(timespec="seconds"))

    def _note(self, **facts: Any) -> None:
        """Note what is known by now of the result."""
        self._draft = replace(self._draft, **facts)

    def _duration(self) -> dict[str, float]:
        return {"duration_s": self.lab.clock.monotonic() - self._began}

    def _judged(self, transcript: Transcript, *, given: Verdict | None = None) -> CellResult:
        return judged(self._draft, self.scenario, transcript, given=given)

    def give_up(self, message: str) -> CellResult:
        """Write and return the result of a cell that can't be played: BROKEN; raises FileError."""
        lost = lost_cell(self.cell, self.scenario, self.directory, given=broken(message), repro=self.repro)
        result = replace(lost, worker=self.worker, target=self.target.name)
        write_cell(result, self.lab.run_dir)
        return result

    def _wanted(self, image: GuestImage) -> WantedGuest:
        wanted = wanted_of(
            self.cell, self.scenario, image, icount_shift=self.icount_shift, firmware_said=self._firmware_said
        )
        boots = self.lab.cold or not self._prepared.snapshots
        return replace(wanted, stage=None) if boots else wanted

    def _name_emulator(self, spec: MachineSpec) -> None:
        """Note what executes guest code, if QEMU runs the guest."""
        if self.target.is_emulated:
            accelerator = self.lab.choice(spec).accelerator
            self._note(accelerator=accelerator, qemu=str(self.lab.qemu(spec).version))

    def _play(self, wanted: WantedGuest, *, slow: float) -> CellResult:
        """Play on the target; `slow` is the factor on every wait that the image needs."""
        make_missing(self.directory)
        place = TargetPlace(
            lab=self.lab,
            directory=self.directory,
            label=self.cell.id,
            address=self.address,
            on_turn=self._begin,
        )
        pace = self.lab.pace(wanted.spec if self.target.is_emulated else None)
        with ExitStack() as stack:
            target = stack.enter_context(self.target.open(wanted, place))
            target.require(self.scenario.needs)
            began = pace.monotonic(), self.lab.clock.monotonic()
            player = Player(
                scenario=self.scenario,
                target=target,
                open_guest=prepared(wanted.driver, self._prepared),
                clock=pace,
                time_scale=self.lab.time_scale * slow,
                time_limit_s=self.time_limit_s,
                delays=self.delays,
                on_step=self.on_step,
            )
            with _standing_by_hand(pace, target):
                player.play()
            usable, passed = pace.monotonic() - began[0], self.lab.clock.monotonic() - began[1]
            held = self._hold(target, stack)
        self._note(
            **self._duration(),
            slowdown=round(passed / usable, 2) if usable > 0 else 1.0,
            argv=tuple(target.argv),
            start=target.start,
            shares=tuple(target.shares),
            held=held,
        )
        if (self.directory / BY_HAND).exists():  # what a person does to it from now on changes no verdict
            return self._judged(kept_transcript(self.directory))
        return self._judged(target.channel.transcript)

    def _hold(self, target: Target, stack: ExitStack) -> tuple[str, ...]:
        """Keep the guest if its cell did not pass and guests are to be held; return what to say of that."""
        if self.holding is None or self._judged(target.channel.transcript).status not in BAD:
            return ()
        return self.holding.hold(self.cell.id, target.machine, self.directory, stack)

    def _firmware_said(self) -> bytes:
        with suppress(OSError):
            return (self.directory / FIRMWARE_FILE).read_bytes()
        return b""

    def _argv(self) -> tuple[str, ...]:
        with suppress(OSError, ValueError, KeyError):
            table = parse_json((self.directory / ARGV_FILE).read_bytes(), origin=ARGV_FILE)
            return tuple(map(str, table["argv"]))
        return ()


def _standing_by_hand(pace: Clock, target: Target) -> AbstractContextManager[None]:
    """Let no time of a cell pass while somebody has stopped its guest, with a debugger say."""
    machine = target.machine
    if machine is None or not isinstance(pace, FairClock):
        return nullcontext()
    return pace.standing_while(lambda: machine.stands_by_hand)


def kept_transcript(directory: Path) -> Transcript:
    """Return what was kept of a cell's transcript; an empty transcript if nothing was."""
    try:
        return load_transcript(directory)
    except SpecError:
        empty = Transcript()
        empty.close("nothing was kept")
        return empty


def lost_cell(cell: Cell, scenario: Scenario, directory: Path, *, given: Verdict, repro: str) -> CellResult:
    """Return the result of a cell that left none, with everything that a transcript in `directory` shows."""
    transcript = kept_transcript(directory)
    draft = draft_of_cell(cell, scenario, **lost_facts(transcript, directory), repro=repro)
    return judged(draft, scenario, transcript, given=given)


def lost_facts(transcript: Transcript, directory: Path) -> dict[str, Any]:
    """Return what is known about the run of what left no result, but perhaps a transcript in `directory`."""
    return {
        "started_utc": utc_now().isoformat(timespec="seconds"),
        "duration_s": transcript.chunks[-1].at if transcript.chunks else 0.0,
        "worker": "lost",
        "directory": f"{CELLS}/{directory.name}",
    }


def read_result(run_dir: Path, name: str) -> CellResult | None:
    """Return the result that a worker wrote into a cell's directory (its id, or ID+2), or None."""
    with suppress(OSError, ValueError):
        text = read_whole(run_dir / CELLS / name / RESULT_FILE, most=JSON_MOST)
        return load_json(text, CellResult, origin=name)
    return None


def claim_directory(run_dir: Path, cell_id: str) -> str:
    """Make a directory for one play of a cell; return its name, ID or ID+2; raises FileError."""
    cells = make_private_directory(run_dir / CELLS)
    for count in itertools.count(1):
        name = cell_id if count == 1 else f"{cell_id}+{count}"
        try:
            (cells / name).mkdir(mode=PRIVATE_DIRECTORY)
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(f"directory {cells / name}: {error.strerror}") from error
        return name
    raise AssertionError  # the count has no end


def directories_of(run_dir: Path, cell_id: str) -> list[str]:
    """Return the names of the directories that a run has for a cell, in the order of its plays."""
    found = sorted(
        (run_dir / CELLS).glob(f"{glob.escape(cell_id)}+*"), key=lambda path: (len(path.name), path.name)
    )
    return [path.name for path in (run_dir / CELLS / cell_id, *found) if path.is_dir()]
