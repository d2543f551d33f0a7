"""Many forks, or many cells, at once: processes that each do one after the other, as those of a matrix do.

As a program: `python -m tests.bench.crowd WHAT NUMBER` gets ready, writes a line, waits for one, does its
NUMBER and writes another.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK
from emulator.machine.spec import Firmware, MachineType
from harness.cells.cell import Cell
from harness.run.cell_run import CellRun
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab, cell_workers
from tests.bench.forks import linux, open_bench

ROOT = Path(__file__).parents[2]
CELL = Cell(
    image="bookworm", machine=MachineType.PC, firmware=Firmware.SEABIOS, vcpus=1, scenario="nmi-panic"
)


def per_minute(what: str, number: int) -> float:
    """Return how many a minute as many processes do as a matrix has here; getting ready is not counted.

    Args:
        what: "clones", "boots", "cells" or "cold-cells".
        number: how many they do in all, rounded up to the same for each.
    """
    workers = cell_workers()
    share = -(-number // workers)
    with ExitStack() as stack:
        crowd = [stack.enter_context(_worker(what, share)) for _ in range(workers)]
        for worker in crowd:
            _read_line(worker)
        began = SYSTEM_CLOCK.monotonic()
        for worker in crowd:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in crowd:
            _read_line(worker)
        return share * workers / (SYSTEM_CLOCK.monotonic() - began) * 60


@contextmanager
def _worker(what: str, share: int) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "tests.bench.crowd", what, str(share)]
    with subprocess.Popen(
        words, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        yield worker


def _read_line(worker: subprocess.Popen[str]) -> None:
    assert worker.stdout is not None
    if not worker.stdout.readline():
        raise AssertionError(f"{worker.args!r} ended with code {worker.wait()}")


@contextmanager
def _machines(*, cold: bool) -> Iterator[Callable[[], object]]:
    with open_bench(linux) as bench:
        yield bench.boot if cold else bench.clone


@contextmanager
def _cells(*, cold: bool) -> Iterator[Callable[[], object]]:
    lab, scenario = Lab(run_dir=Path(), cold=cold), find_scenario(CELL.scenario)

    def play() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            lab.run_dir = Path(scratch)
            result = CellRun(cell=CELL, scenario=scenario, lab=lab).run()
            begins = "booted" if cold else "forked"
            if result.status != "passed" or not result.start.startswith(begins):
                raise AssertionError(f"{result.status}, {result.start}: {result.message}")

    yield play


def main(what: str, number: int) -> None:
    """Do `number` of `what` when told to."""
    kinds = {
        "clones": _machines(cold=False),
        "boots": _machines(cold=True),
        "cells": _cells(cold=False),
        "cold-cells": _cells(cold=True),
    }
    with kinds[what] as do:
        do()  # what is found out once is found out before
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        for _ in range(number):
            do()
        print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
