"""Find what a run recorded about a cell, and check that it would get the same machine again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from emulator.errors import SpecError
from emulator.files import read_whole
from emulator.guest_images.kinds import GuestImage, image_features
from emulator.guest_text.printable import visible
from emulator.lab_file.read import VARIABLE
from emulator.machine.run_dir import ARGV_FILE
from emulator.machine.spec import MachineSpec
from emulator.values import JSON_MOST, json_ready, parse_json, read_value
from harness.cells.cell import Cell
from harness.report.model import RUN_FILE, CellResult, load_run
from harness.run.cell_run import directories_of, read_result
from harness.run.latest import latest_runs
from harness.run.own_run import use_lab_of
from harness.scenario.settings import PLAIN
from harness.snapshots.lab import Lab
from harness.snapshots.start import OWN_DISK


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What a run recorded about a cell.

    Attributes:
        run: the run's directory.
        was: the cell's result.
        changed: how the machine that would be opened now differs.
        notes: what else differs, which need not matter.
    """

    run: Path
    was: CellResult
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def booted(self) -> bool:
        """Whether the machine was booted rather than forked from a snapshot, or joined as it ran."""
        return not self.was.start.startswith(("forked", "joined"))

    def introduce(self) -> str:
        """Return in one line what is to be reproduced, and how the machine differs."""
        what = f"as in {self.run}, {self.was.start}: {told(self.was)}"
        differs = "; ".join([*self.changed, *self.notes])
        return f"{what} ({differs})" if differs else what

    def compare(self, now: CellResult) -> str:
        """Return in one line whether `now` is the same end: verdict, reason and deciding step."""
        same = (now.status, now.reason, now.step) == (self.was.status, self.was.reason, self.was.step)
        if same:
            return f"reproduced: {told(now)}"
        return f"not reproduced: {told(now)}; {self.run} had {told(self.was)}"


def told(result: CellResult) -> str:
    """Return a cell's verdict in one line."""
    return f"{result.status.upper()}{': ' + result.message if result.message else ''}"


def recall(
    cell: Cell, run: Path | None, *, lab: Lab, image: GuestImage, now: MachineSpec, changed: bool, port: str
) -> Recalled | None:
    """Return what a run recorded about a cell; None if no run here has it.

    Without `run` it is the newest that has the cell. `image` and `now` are the cell's image and machine as
    they would be now, in `lab`; another machine is acceptable only if `changed`. It is to be played on the
    serial port or the board `port`, or here. Raises SpecError if the run has no such cell, or `port` is
    missing.
    """
    record = find_record(cell.id, run)
    if record is None:
        return None
    where, was = record
    if was.target == "serial" and not port:
        raise SpecError(f"{cell.id} was played on a serial port; say on which: --port URL")
    if port:
        return Recalled(run=where, was=was)
    if not (where / was.directory / ARGV_FILE).exists():
        return Recalled(run=where, was=was, notes=("no machine was opened there",))
    found = differences(was, recorded_spec(where / was.directory), image=image, now=now)
    if found and not changed:
        raise SpecError(f"{where} ran another machine: {'; '.join(found)} (--changed goes on)")
    return Recalled(run=where, was=was, changed=tuple(found), notes=tuple(_notes(was, now, lab)))


def _notes(was: CellResult, now: MachineSpec, lab: Lab) -> Iterator[str]:
    """Return how what executes the guest differs; the guest itself is the same."""
    pairs = (
        ("QEMU", was.qemu, str(lab.qemu(now).version)),
        ("accelerator", was.accelerator, lab.choice(now).accelerator),
    )
    for name, before, after in pairs:
        if before and before != after:
            yield f"{name} was {before}, is {after}"


def find_run(cell_id: str, run: Path | None) -> Path | None:
    """Return the run to reproduce, `run` or the newest here that has the cell, and use the lab that it used.

    A lab that was chosen (TTYLAB_LAB, --lab) and knows the cell's image stays. Raises SpecError without the
    run's directory.
    """
    if run is not None and not run.is_dir():
        there = (
            "its path is from the directory of `ttylab run`" if not run.is_absolute() else "was it removed?"
        )
        raise SpecError(f"{visible(str(run))}: there is no such run ({there})")
    record = None if run else find_record(cell_id, None)
    found = run if record is None else record[0]
    chosen = VARIABLE in os.environ and cell_id.rsplit(".", 4)[0] in image_features()
    if found is not None and not chosen:
        use_lab_of(found)
    return found


def as_recorded(cell: Cell, run: Path | None) -> Cell:
    """Return the cell with the settings that it had, in `run` or in the newest run; raises SpecError."""
    record = find_record(cell.id, run)
    return cell if record is None else replace(cell, settings=record[1].cell.settings or PLAIN)


def find_record(cell_id: str, run: Path | None) -> tuple[Path, CellResult] | None:
    """Return run and result to reproduce: of `run`, else of the newest with the cell; raises SpecError."""
    for candidate in latest_runs() if run is None else (run,):
        result = reported(candidate, cell_id)
        if result is not None:
            return candidate, result
    if run is not None:
        raise SpecError(f"{run}: no result of {cell_id} there")
    return None


def command_of(node_id: str, run: Path | None) -> list[str]:
    """Return the words that run a user's test again, as a run recorded it; raises SpecError without one."""
    record = find_record(node_id, run)
    if record is None:
        raise SpecError(f"of the runs here none has the id {node_id}")
    return shlex.split(record[1].repro)


def reported(run: Path, cell_id: str) -> CellResult | None:
    """Return what a run reported of a cell; of a run that was killed, what the cell left; else None."""
    try:
        cells = load_run(run).cells if (run / RUN_FILE).exists() else ()
    except SpecError:
        cells = ()
    left = (read_result(run, name) for name in directories_of(run, cell_id))
    return next((one for one in cells if one.cell.id == cell_id), None) or next(filter(None, left), None)


def recorded_spec(directory: Path) -> MachineSpec:
    """Return the machine that was opened for the cell with this directory; raises SpecError."""
    file = directory / ARGV_FILE
    try:
        table = parse_json(read_whole(file, most=JSON_MOST), origin=str(file))
        return read_value(table["spec"], MachineSpec, origin="spec", whole=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpecError(f"{file}: no machine spec: {error}") from error


def differences(recorded: CellResult, spec: MachineSpec, *, image: GuestImage, now: MachineSpec) -> list[str]:
    """Return how the machine that would be booted now differs from the recorded one."""
    found = []
    hashes = recorded.image.get("sha256")
    if isinstance(hashes, dict) and hashes != dict(image.sha256):
        names = hashes.keys() | image.sha256.keys()
        changed = sorted(name for name in names if hashes.get(name) != image.sha256.get(name))
        found.append(f"image {image.name} {_how_changed(recorded.image, changed)}")
    if [disk.path.name for disk in spec.disks] == [OWN_DISK]:
        spec = replace(spec, disks=now.disks)  # each run makes a new, empty one
    before, after = json_ready(spec), json_ready(now)
    return found + [
        f"{key} was {before[key]!r}, is {after[key]!r}"
        for key in before
        if _without_directories(before[key]) != _without_directories(after[key])
    ]


def _how_changed(image: Mapping[str, object], changed: list[str]) -> str:
    """Return how an image is not the recorded one: ours was built anew, a user's file has changed."""
    files = image.get("files")
    if not isinstance(files, Mapping):
        return f"was built anew: {', '.join(changed)} differ"
    hashes = cast("Mapping[str, str]", image["sha256"])
    told = (f"{files.get(one, one)} (sha256 was {str(hashes.get(one))[:16]})" for one in changed)
    return f"has other files: {', '.join(told)}"


def _without_directories(value: Any) -> Any:
    """Return a part of a spec with paths reduced to names: hashes tell whether files are the same."""
    if isinstance(value, dict):
        return {key: _without_directories(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_directories(each) for each in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value
