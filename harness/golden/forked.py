"""Open machines as a start says, and guests that go on from a golden state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import SavedStateError
from emulator.machine.machine import Machine, open_machine
from harness.golden.reach import reach_stage
from harness.golden.renew import renew
from harness.golden.start import MAKE_S, Start, choose_start, start_machine
from harness.golden.wanted import WantedState
from harness.guests.guest import Guest
from harness.lab import Lab
from harness.session import Session

POWER_S = 30.0
"""Seconds that QEMU may take to start and to load a state; it takes 0.05 to 0.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkedGuest:
    """A guest that stands at the stage it was asked for.

    Attributes:
        machine: its machine.
        console: a dialogue with its console.
        guest: its driver.
        start: how it began.
    """

    machine: Machine
    console: Session
    guest: Guest
    start: Start


@contextmanager
def open_started(start: Start, lab: Lab, *, run_dir: Path, label: str) -> Iterator[tuple[Machine, Start]]:
    """Open a machine and let it run as `start` says, or by a boot if its state can't be loaded.

    What is given is the machine, and how it began in the end.

    Raises:
        LabError: it can't be booted.
    """
    with ExitStack() as stack:
        try:
            machine = stack.enter_context(_running(start, lab, run_dir=run_dir, label=label))
        except SavedStateError as error:
            start = start.booted(str(error).splitlines()[0])
            machine = stack.enter_context(_running(start, lab, run_dir=run_dir, label=label))
        yield machine, start


@contextmanager
def _running(start: Start, lab: Lab, *, run_dir: Path, label: str) -> Iterator[Machine]:
    opened = open_machine(
        start.spec,
        run_dir=run_dir,
        qemu=lab.qemu,
        accelerator=lab.choice(start.spec.machine),
        label=label,
        start=False,
        origin=start.origin,
    )
    with opened as machine:
        start_machine(machine, start, Deadline.after(POWER_S * lab.time_scale))
        yield machine


@contextmanager
def open_forked(
    lab: Lab, wanted: WantedState, *, run_dir: Path, renewed: bool = True
) -> Iterator[ForkedGuest]:
    """Open a guest at a stage: forked from its golden state, or booted to there where that can't be.

    Args:
        lab: the bench.
        wanted: the state.
        run_dir: where the machine's evidence goes.
        renewed: whether a fork gets a clock, random numbers and a boot id of its own, where its stage
            allows it (`renew`).

    Raises:
        LabError: it can be neither forked nor booted.
    """
    chosen = choose_start(lab, wanted)
    label = f"{wanted.label} {wanted.stage}"
    with open_started(chosen, lab, run_dir=run_dir, label=label) as (opened, start):
        if start.origin is None:
            reach_stage(wanted.driver, wanted.stage)(opened, Deadline.after(MAKE_S * lab.time_scale))
        session = Session(opened.console)
        guest = wanted.driver(session)
        if renewed and start.origin is not None:
            renew(guest, wanted.stage, Deadline.after(POWER_S * lab.time_scale))
        yield ForkedGuest(machine=opened, console=session, guest=guest, start=start)
