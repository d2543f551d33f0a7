"""Find what a run recorded about a cell, and check that it would get the same machine again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emulator.errors import SpecError
from emulator.files import read_whole
from emulator.images.kinds import GuestImage
from emulator.machine.run_dir import ARGV_FILE
from emulator.machine.spec import MachineSpec
from emulator.places import RESULTS
from emulator.values import JSON_MOST, json_ready, parse_json, read_value
from harness.cells.cell import Cell
from harness.report.model import CellResult
from harness.run.cell_run import CELLS, read_result
from harness.snapshots.start import OWN_DISK

REPRO_PREFIX = "repro-"
"""Prefix of the names of reproductions' own directories, which are not runs to reproduce."""


def recall(
    cell: Cell, run: Path | None, *, image: GuestImage, now: MachineSpec, changed: bool, port: str
) -> tuple[str, bool]:
    """Return one line about how a run played the cell, and whether its machine was booted rather than forked.

    Args:
        cell: the cell.
        run: the run's directory; None: that of the newest run that has the cell.
        image: the cell's image as it is now.
        now: the cell's machine as it would be now.
        changed: whether a machine other than the recorded one is acceptable.
        port: URL of the serial port to play it on; empty: a machine here.

    Raises:
        SpecError: the run has no such cell or had another machine, or `port` is missing.
    """
    record = find_record(cell, run)
    if record is None:
        doing = "playing" if port else "booting"
        return f"no run here has {cell.id}; {doing} it as it is defined now", False
    where, result = record
    if result.target == "serial" and not port:
        raise SpecError(f"{cell.id} was played on a serial port; say on which: --port URL")
    found = [] if port else differences(result, recorded_spec(where, cell), image=image, now=now)
    if found and not changed:
        raise SpecError(f"{where.name} ran another machine: {'; '.join(found)} (--changed goes on)")
    line = f"as in {where.name}, {result.start}: {result.status} {result.message}"
    return line, not result.start.startswith("forked")


def find_record(cell: Cell, run: Path | None) -> tuple[Path, CellResult] | None:
    """Return the run and the result to reproduce: of `run`, else of the newest run that has the cell.

    Raises:
        SpecError: `run` has no such cell.
    """
    if run is not None:
        result = read_result(run, cell.id)
        if result is None:
            raise SpecError(f"{run}: no result of {cell.id} there")
        return run, result
    runs = (path for path in RESULTS.glob("*/") if not path.name.startswith(REPRO_PREFIX))
    for candidate in sorted(runs, reverse=True):
        result = read_result(candidate, cell.id)
        if result is not None:
            return candidate, result
    return None


def recorded_spec(run: Path, cell: Cell) -> MachineSpec:
    """Return the machine that the run opened for the cell.

    Raises:
        SpecError: the record is missing, damaged or of another version.
    """
    file = run / CELLS / cell.id / ARGV_FILE
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
        changed = sorted(name for name in image.sha256 if hashes.get(name) != image.sha256[name])
        found.append(f"image {image.name} was built anew: {', '.join(changed)} differ")
    if [disk.path.name for disk in spec.disks] == [OWN_DISK]:
        spec = replace(spec, disks=now.disks)  # each run makes a new, empty one
    before, after = json_ready(spec), json_ready(now)
    found += [f"{key} was {before[key]!r}, is {after[key]!r}" for key in before if before[key] != after[key]]
    return found
