"""Benchmarks of snapshots: forks against boots, one by one, many at once, and in whole matrices."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.machine.machine import Machine
from emulator.snapshots.pool import open_pool
from harness.commands.bench import Measurement, measure_pairs
from harness.snapshots.lab import Lab
from tests.bench.crowd import per_minute
from tests.bench.forks import BOUND_S, Bench, Guest, linux, open_bench, sac

ROOT = Path(__file__).parents[2]
ROUNDS = 5
FORKS = 5
"""Forks for each boot that they are compared with."""
SAVES = 11
CLONES = 100
CROWD = 96
CROWD_ROUNDS = 3
COLD_CELLS = 6
SUBSET = "TTYLAB_BENCH_CELLS"
"""Environment variable: which cells of the default matrix are run, as `-k`; all without it."""
RUN_S = 3600
_MIB = 2**20


def clone_linux() -> Measurement:
    """Seconds from nothing to a fork's answer, against a boot's."""
    return _clones(linux, name="clone-linux", goal="value <= 0.15")


def clone_sac() -> Measurement:
    """The same of the SAC guest."""
    return _clones(sac, name="clone-sac", goal="value <= 0.1")


def _clones(choose: Callable[[Lab], Guest], *, name: str, goal: str) -> Measurement:
    with open_bench(choose) as bench:
        bench.clone()
        pairs = [
            (bench.clone(), boot) for boot in (bench.boot() for _ in range(ROUNDS)) for _ in range(FORKS)
        ]
    return measure_pairs(pairs, name=name, unit="s", baseline="a boot to the same answer", goal=goal)


def pool_handout() -> Measurement:
    """Seconds from `take` to the answer, from a pool that is full; the baseline is made when it is wanted."""
    with open_bench(linux) as bench:
        pairs = [(seconds, bench.clone()) for seconds in _handouts(bench)]
    return measure_pairs(
        pairs, name="pool-handout", unit="s", baseline="a fork without a pool", goal="value <= 0.08"
    )


def _handouts(bench: Bench) -> Iterator[float]:
    """Yield the seconds of each take, from a pool that was full before it."""
    opened = threading.Semaphore(0)

    @contextmanager
    def open_one() -> Iterator[Machine]:
        with bench.paused() as machine:
            opened.release()
            yield machine

    with open_pool(open_one, size=1) as pool:
        for _ in range(ROUNDS * FORKS):
            opened.acquire()
            began = SYSTEM_CLOCK.monotonic()
            with pool.take(Deadline.after(BOUND_S)) as machine:
                bench.ask(machine)
                seconds = SYSTEM_CLOCK.monotonic() - began
            yield seconds


def clones_per_minute() -> Measurement:
    """Clones a minute, each to its answer and to its end, against what boots alone would give."""
    return _per_minute(
        "clones",
        name="clones-per-minute",
        baseline="boots, each to the same answer",
        cold="boots",
        goal="value >= 800, ratio >= 25",
    )


def nmi_scenarios_per_minute() -> Measurement:
    """Whole cells a minute: restore, NMI, panic, verdict and result file, against the same cold."""
    return _per_minute(
        "cells",
        name="nmi-scenarios-per-minute",
        baseline="the same, booted",
        cold="cold-cells",
        goal="value >= 300, ratio >= 20",
    )


def _per_minute(what: str, *, name: str, baseline: str, cold: str, goal: str) -> Measurement:
    pairs = [(per_minute(what, CROWD), per_minute(cold, COLD_CELLS)) for _ in range(CROWD_ROUNDS)]
    return measure_pairs(pairs, name=name, unit="/min", baseline=baseline, goal=goal)


def clones_100_memory() -> Measurement:
    """MiB of 100 forks of one state that have all answered: their proportional sizes, and what we grew by."""
    with open_bench(linux) as bench, ExitStack() as stack:
        before = psutil.Process().memory_full_info().pss
        machines = [stack.enter_context(bench.paused()) for _ in range(CLONES)]
        for machine in machines:
            machine.resume(Deadline.after(BOUND_S))
            bench.ask(machine)
        grown = psutil.Process().memory_full_info().pss - before
        each = [psutil.Process(machine.pid).memory_full_info() for machine in machines]
    total = (grown + sum(one.pss for one in each)) / _MIB
    resident = sum(one.rss for one in each) / _MIB
    return Measurement(
        name="clones-100-memory",
        value=total,
        unit="MiB",
        baseline="their resident sizes, as if nothing were shared",
        baseline_value=resident,
        ratio=total / resident,
        goal="value <= 2048",
    )


def save() -> Measurement:
    """Seconds from `stop` to the state written, of a guest whose RAM is a file, against one whose is not."""
    with open_bench(linux) as bench, bench.booted(shares_ram=True) as shared, bench.booted() as plain:
        path = bench.lab.run_dir / "state"
        pairs = [(_save(shared, path), _save(plain, path)) for _ in range(SAVES)]
    return measure_pairs(
        pairs, name="save", unit="s", baseline="the same with RAM in the state", goal="value <= 0.1"
    )


def _save(machine: Machine, path: Path) -> float:
    deadline = Deadline.after(BOUND_S)
    began = SYSTEM_CLOCK.monotonic()
    machine.pause(deadline)
    machine.console.drain(deadline)
    machine.write_state(path, deadline)
    seconds = SYSTEM_CLOCK.monotonic() - began
    path.unlink()
    machine.resume(deadline)
    return seconds


def default_matrix_vs_cold() -> Measurement:
    """Seconds of a run of the default matrix whose states are there, against `--cold`, in turn."""
    _run()  # makes the states
    warm, cold = _run(), _run("--cold")
    return measure_pairs(
        [(warm, cold)],
        name="default-matrix-vs-cold",
        unit="s",
        baseline="the same with --cold",
        goal="ratio <= 0.25",
    )


def _run(*words: str) -> float:
    cells = ["-k", os.environ[SUBSET]] if os.environ.get(SUBSET) else []
    with tempfile.TemporaryDirectory() as scratch:
        began = SYSTEM_CLOCK.monotonic()
        subprocess.run(
            [sys.executable, "-m", "harness.cli", "run", "--run-dir", f"{scratch}/run", *cells, *words],
            cwd=ROOT,
            stdout=sys.stderr,
            check=True,
            timeout=RUN_S,
        )
        return SYSTEM_CLOCK.monotonic() - began
