"""A pool of guests that stand at a stage and wait to be wanted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from emulator.machine.machine import Machine
from emulator.states.pool import MachinePool, open_fork, open_pool
from harness.golden.start import ensure_state
from harness.golden.wanted import WantedState
from harness.lab import Lab


@contextmanager
def open_state_pool(
    lab: Lab, wanted: WantedState, *, run_dir: Path, size: int = 2
) -> Iterator[MachinePool[Machine]]:
    """Open a pool of forks of a state, which is made first if it is not there yet.

    Args:
        lab: the bench, with the cache.
        wanted: the state.
        run_dir: below it each fork keeps its evidence.
        size: how many wait, 1 to 16.

    Raises:
        SpecError: `size` is out of range.
        SavedStateError: the state can't be made.
        LabError, MissingPrerequisite: the machine can't be booted; or, at the end, a fork could not be ended.
    """
    state, count = ensure_state(lab, wanted), itertools.count(1)
    choice = lab.choice(wanted.spec.machine)

    def open_one() -> AbstractContextManager[Machine]:
        place = run_dir / f"pooled{next(count)}"
        return open_fork(state, run_dir=place, qemu=lab.qemu, accelerator=choice)

    with open_pool(open_one, size=size) as pool:
        yield pool
