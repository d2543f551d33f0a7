"""Run one cell: boot its machine, play its scenario, judge, keep the result beside the transcript."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from emulator.clock import Deadline, utc_now
from emulator.cloud.resource_id import vm_id
from emulator.console.transcript import DirectorySink, Transcript, load_transcript
from emulator.errors import EmulatorError, SavedStateError, SpecError
from emulator.machine.machine import open_machine
from emulator.machine.run_dir import ARGV_FILE, FIRMWARE_FILE
from emulator.machine.spec import Disk, MachineSpec
from emulator.sac.boot import write_sac_disk
from emulator.values import json_ready, load_json
from emulator.windows.image import WindowsImage
from harness.azure.address import ServiceAddress
from harness.azure.arm import open_arm
from harness.azure.virtual_machine import own_vm
from harness.cells.cell import Cell
from harness.cells.spec import guest_spec, start_words, vm_name
from harness.guests.drivers import open_guest
from harness.play.guest import OpenGuest
from harness.play.runner import Player
from harness.play.target import Target
from harness.report.model import RESULT_FILE, CellResult, write_cell
from harness.run.lab import Lab
from harness.run.result import Circumstances, broken_result, judged_result, skipped_result
from harness.run.start import Start, choose_start, start_machine
from harness.run.wanted import WantedState
from harness.scenario.errors import Unsupported
from harness.scenario.scenario import BOOT_S, Scenario
from harness.snapshots.stage import golden_stage
from harness.targets.service import service_target
from harness.targets.service_abilities import service_capabilities

CELLS = "cells"
"""Directory of the cells' directories inside a run's directory."""
OWN_DISK = "disk0.img"
"""In a cell's directory, where the host reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Played:
    """What came of a cell's steps: the console; of a machine here, its command line and how it began."""

    transcript: Transcript
    argv: Sequence[str] = ()
    start: Start | None = None


@dataclass(slots=True)
class CellRun:
    """One cell about to be run.

    Attributes:
        cell: which.
        scenario: what it plays.
        lab: on which bench.
        service: where it is played: a VM of its own there; None for a machine of its own here.
        worker: who runs it, for the report.
        time_limit_s: seconds that its steps may take together.
        delays: seconds to wait before a step, by its index.
        icount_shift: how guest time runs on a machine here, as in `MachineSpec`.
        repro: the command that does the same again; empty: `ttylab repro` and the cell.
        on_step: called with each step's number and text as it begins.
    """

    cell: Cell
    scenario: Scenario
    lab: Lab
    service: ServiceAddress | None = None
    worker: str = "main"
    time_limit_s: float = 180.0
    delays: Mapping[int, float] = field(default_factory=dict)
    icount_shift: int | None = None
    repro: str = ""
    on_step: Callable[[int, str], None] = lambda _index, _text: None
    _patience: float = field(init=False, default=1.0)

    @property
    def directory(self) -> Path:
        """Where its evidence goes."""
        return self.lab.run_dir / CELLS / self.cell.id

    def run(self) -> CellResult:
        """Run the cell and write its result; the guest's and the lab's faults are in it, none is raised.

        Raises:
            SpecError: the cell can't be made into a machine.
            ReportError: the result can't be written.
        """
        started = self.lab.clock.monotonic()
        (self.directory / RESULT_FILE).unlink(missing_ok=True)  # of an earlier run in this directory
        around = Circumstances(
            started_utc=utc_now().isoformat(timespec="seconds"),
            duration_s=0.0,
            worker=self.worker,
            directory=f"{CELLS}/{self.cell.id}",
            target="machine" if self.service is None else "service",
            repro=self.repro,
        )
        try:
            image = self.lab.guest_image(self.cell.image)
            if isinstance(image, WindowsImage):  # it takes longer than the guests that scenarios know
                self._patience = max(1.0, image.profile.boot_timeout_s / BOOT_S)
            spec = replace(guest_spec(self.cell, self.scenario, image), icount_shift=self.icount_shift)
            choice = self.lab.choice(self.cell.machine)
            around = replace(
                around,
                image=image.provenance(),
                accelerator=choice.accelerator,
                qemu=str(self.lab.qemu.version),
                seed=spec.seed,
            )
            driver = open_guest(self.scenario, image, firmware_said=self._firmware_said)
            result = self._play(spec, driver, around, started)
        except Unsupported as error:
            result = skipped_result(self.cell, self.scenario, Transcript(), around, message=str(error))
        except SpecError:
            raise
        except EmulatorError as error:
            around = replace(around, duration_s=self.lab.clock.monotonic() - started, argv=self._argv())
            transcript = kept_transcript(self.directory)
            result = broken_result(self.cell, self.scenario, transcript, around, message=str(error))
        write_cell(result, self.lab.run_dir)
        return result

    def _play(
        self, spec: MachineSpec, driver: OpenGuest, around: Circumstances, started: float
    ) -> CellResult:
        if self.service is None:
            played = self._play_on_machine(spec, driver)
        else:
            played = _Played(transcript=self._play_on_service(spec, driver, self.service))
        around = replace(
            around,
            duration_s=self.lab.clock.monotonic() - started,
            argv=played.argv,
            start="booted" if played.start is None else played.start.says,
            shares=() if played.start is None else played.start.shares,
        )
        return judged_result(self.cell, self.scenario, played.transcript, around)

    def _play_on_machine(self, spec: MachineSpec, driver: OpenGuest) -> _Played:
        start = self._start(spec, driver)
        try:
            return self._play_from(start, driver)
        except SavedStateError as error:
            return self._play_from(self._boot(spec, why=str(error).splitlines()[0]), driver)

    def _start(self, spec: MachineSpec, driver: OpenGuest) -> Start:
        """Return how the machine begins: from the state that serves the scenario, if one does."""
        stage = None if self.lab.cold else golden_stage(self.scenario)
        if stage is None:
            return self._boot(spec)
        own = self.directory if self.scenario.keeps_disk else None
        self.directory.mkdir(parents=True, exist_ok=True)
        wanted = WantedState(
            label=self.cell.image,
            stage=stage,
            spec=spec,
            driver=driver,
            host_reads_disks=self.scenario.keeps_disk,
        )
        start = choose_start(self.lab, wanted, own_disks=own)
        return start if start.origin is not None else self._boot(spec, why=start.why)

    def _boot(self, spec: MachineSpec, why: str = "") -> Start:
        if self.scenario.keeps_disk:
            spec = replace(spec, disks=(Disk(path=self._own_disk()),))
        return Start(spec=spec, why=why)

    def _play_from(self, start: Start, driver: OpenGuest) -> _Played:
        """Open the machine and play.

        Raises:
            SavedStateError: the state can't be loaded; nothing was played.
        """
        opened = open_machine(
            start.spec,
            run_dir=self.directory,
            qemu=self.lab.qemu,
            accelerator=self.lab.choice(self.cell.machine),
            clock=self.lab.clock,
            label=self.cell.id,
            start=False,
            origin=start.origin,
        )
        with opened as machine:
            disk = start.spec.disks[0].path if self.scenario.keeps_disk else None
            target = Target(name=self.cell.id, channel=machine.console, control=machine, disk=disk)
            target.require(self.scenario.needs)
            start_machine(machine, start, Deadline.after(30.0, self.lab.clock))
            self._play_steps(target, driver)
            return _Played(transcript=machine.transcript, argv=machine.argv, start=start)

    def _own_disk(self) -> Path:
        """Make a disk that the host can read after the guest has written to it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        disk = (self.directory / OWN_DISK).absolute()
        disk.unlink(missing_ok=True)
        write_sac_disk(disk)
        return disk

    def _play_on_service(self, spec: MachineSpec, driver: OpenGuest, service: ServiceAddress) -> Transcript:
        able = service_capabilities(spec)
        vm = vm_id(service.subscription, service.group, vm_name(self.cell))
        clock, words = self.lab.clock, start_words(self.scenario)
        with ExitStack() as stack:
            arm = stack.enter_context(open_arm(service))
            stack.enter_context(own_vm(arm, vm, spec, image=self.cell.image, words=words, clock=clock))
            sink = DirectorySink(self.directory, console="ttyS0")
            kept = {"argv": [], "spec": json_ready(spec)}  # for `repro`, which boots the same machine here
            (self.directory / ARGV_FILE).write_text(json.dumps(kept), encoding="utf-8")
            opened = service_target(arm, vm, able=able, name=self.cell.id, sink=sink, clock=clock)
            target = stack.enter_context(opened)
            target.require(self.scenario.needs)
            self._play_steps(target, driver)
        return target.channel.transcript

    def _play_steps(self, target: Target, driver: OpenGuest) -> None:
        Player(
            scenario=self.scenario,
            target=target,
            open_guest=driver,
            clock=self.lab.clock,
            time_scale=self.lab.time_scale * self._patience,
            time_limit_s=self.time_limit_s,
            delays=self.delays,
            on_step=self.on_step,
        ).play()

    def _firmware_said(self) -> bytes:
        with suppress(OSError):
            return (self.directory / FIRMWARE_FILE).read_bytes()
        return b""

    def _argv(self) -> list[str]:
        with suppress(OSError, ValueError, KeyError):
            return [str(part) for part in json.loads((self.directory / ARGV_FILE).read_bytes())["argv"]]
        return []


def kept_transcript(directory: Path) -> Transcript:
    """Return what is kept of a cell's transcript; an empty one where nothing is."""
    try:
        return load_transcript(directory)
    except SpecError:
        empty = Transcript()
        empty.close("nothing was kept")
        return empty


def lost_cell(cell: Cell, scenario: Scenario, run_dir: Path, *, message: str) -> CellResult:
    """Return the result of a cell whose worker died: BROKEN, with all that its transcript still tells."""
    directory = run_dir / CELLS / cell.id
    transcript = kept_transcript(directory)
    around = Circumstances(
        started_utc=utc_now().isoformat(timespec="seconds"),
        duration_s=transcript.chunks[-1].at if transcript.chunks else 0.0,
        worker="lost",
        directory=f"{CELLS}/{cell.id}",
    )
    return broken_result(cell, scenario, transcript, around, message=message)


def read_result(run_dir: Path, cell_id: str) -> CellResult | None:
    """Return the result that a worker wrote, or None."""
    with suppress(OSError, ValueError):
        return load_json((run_dir / CELLS / cell_id / RESULT_FILE).read_bytes(), CellResult, origin=cell_id)
    return None
