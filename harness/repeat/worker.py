"""A process that plays one repetition after the other; SIGTERM ends it with its machine closed."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from emulator.errors import EmulatorError, SpecError
from emulator.machine.spec import Accelerator
from harness.cells.cell import Cell
from harness.cells.run import CellRun
from harness.errors import HarnessError
from harness.lab import Lab
from harness.repeat.load import host_load
from harness.repeat.outcome import Ending, broken_ending, ending_of
from harness.repeat.plan import Repetition
from harness.repeat.summary import Hunt
from harness.scenario import Scenario
from harness.verdict import Status

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is to repeat.

    Attributes:
        cell: which.
        scenario: what it plays.
        hunt: what it is part of.
        run_dir: where each repetition has its directory.
        accelerator: who executes guest code.
        time_scale: factor on every wait.
        cold: whether every machine is booted.
        keep: whether evidence of those that passed is kept too.
    """

    cell: Cell
    scenario: Scenario
    hunt: Hunt
    run_dir: Path
    accelerator: Accelerator = Accelerator.AUTO
    time_scale: float = 1.0
    cold: bool = False
    keep: bool = False

    def open_lab(self) -> Lab:
        """Return a bench for it."""
        return Lab(
            run_dir=self.run_dir, accelerator=self.accelerator, time_scale=self.time_scale, cold=self.cold
        )


def work(link: Connection, job: Job) -> None:
    """Play the repetitions that come over `link` and answer with their endings, until it is closed.

    A SpecError is answered as such: the caller's input is wrong for every repetition.
    """
    interrupt = _Interrupt()
    try:
        interrupt.arm()
        _answer(link, job)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception:
        # An interrupted call may end by another error: Popen.communicate by AttributeError (Python 3.11).
        if not interrupt.came:
            raise


def _answer(link: Connection, job: Job) -> None:
    lab = job.open_lab()
    while True:
        repetition: Repetition = link.recv()
        try:
            link.send(play(job, repetition, lab))
        except SpecError as error:
            link.send(error)


def play(job: Job, repetition: Repetition, lab: Lab) -> Ending:
    """Play one repetition under what disturbs it; its evidence stays if it did not pass.

    Raises:
        SpecError: the cell can't be made into a machine.
    """
    name = repetition.name
    run = CellRun(
        cell=job.cell,
        scenario=job.scenario,
        lab=lab.at(job.run_dir / name),
        worker=f"pid {os.getpid()}",
        delays=repetition.delays,
        icount_shift=repetition.icount_shift,
        repro=job.hunt.repro(repetition.number),
    )
    try:
        with host_load(repetition.load):
            result = run.run()
    except SpecError:
        raise
    except (EmulatorError, HarnessError) as error:
        return broken_ending(repetition, str(error), directory=name)
    if Status(result.status) is Status.PASSED and not job.keep:
        shutil.rmtree(job.run_dir / name, ignore_errors=True)
        return ending_of(repetition, result, directory="")
    return ending_of(repetition, result, directory=f"{name}/{result.directory}")


class _Interrupt:
    """SIGTERM as a KeyboardInterrupt, once: what follows closes the machine.

    Attributes:
        came: whether it has come.
    """

    came = False

    def arm(self) -> None:
        """Leave Ctrl-C to the parent, which sends SIGTERM, as does the kernel if the parent dies."""
        signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which QEMU would inherit
        signal.signal(signal.SIGTERM, self._take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def _take(self, *_: object) -> None:
        if not self.came:
            self.came = True
            raise KeyboardInterrupt
