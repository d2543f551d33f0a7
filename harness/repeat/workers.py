"""Parallel workers: each plays one repetition after another; one that dies is replaced."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.errors import EmulatorError, LaunchError, SpecError
from emulator.machine.process import parent_death_words
from harness.cells.cell import Cell
from harness.repeat.plan import Repetition
from harness.repeat.request import HuntRequest
from harness.repeat.summary import Ending, Hunt, broken_ending, ending_of
from harness.run.cell_run import CellRun
from harness.run.held import Holding, parse_minutes
from harness.run.interrupts import held_back, unwind_on
from harness.scenario.errors import HarnessError
from harness.scenario.scenario import Scenario
from harness.scenario.verdict import Status
from harness.snapshots.lab import Lab
from harness.targets import target_of

_BUSY = '[ "$PPID" = "$1" ] || exit; while :; do :; done'
"""A process whose parent died before the kernel was told to kill it has another parent by now, and ends."""


@contextmanager
def host_load(count: int) -> Iterator[tuple[int, ...]]:
    """Keep `count` processes busy, which die with the calling thread; yield their pids.

    Raises MissingPrerequisite without setpriv, LaunchError if the kernel refused; none is left running.
    """
    words = (*parent_death_words(), *busy_words(os.getpid())) if count else ()
    with ExitStack() as stack:
        pids = []
        for _ in range(count):
            child = _spawn(words)
            stack.callback(child.wait)
            stack.callback(child.kill)
            pids.append(child.pid)
        yield tuple(pids)


def busy_words(parent: int) -> tuple[str, ...]:
    """Return the argv of a program that stays busy for ever if it is a child of the process `parent`."""
    return ("sh", "-c", _BUSY, "ttylab-load", str(parent))


def _spawn(words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    try:
        # In its own process group: Ctrl-C at our terminal is for us alone.
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0, env={}
        )
    except OSError as error:
        raise LaunchError(
            f"a busy process could not be started: {error.strerror}", argv=words, exit_code=None, stderr=b""
        ) from error


_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is to repeat.

    Attributes:
        cell: the cell.
        scenario: what it plays.
        request: what was asked for.
        hunt: the hunt that it belongs to.
        run_dir: where each repetition has its directory.
    """

    cell: Cell
    scenario: Scenario
    request: HuntRequest
    hunt: Hunt
    run_dir: Path

    def holding(self, *, is_worker: bool) -> AbstractContextManager[Holding | None]:
        """Give what keeps the guest of the first failure, until this ends; None if none is to be kept."""
        if not self.request.hold_on_failure:
            return nullcontext()
        minutes = parse_minutes(self.request.hold_on_failure)
        return closing(Holding(self.run_dir, minutes=minutes, is_worker=is_worker, most=1))


def work(link: Connection, job: Job) -> None:
    """Play the repetitions that arrive over `link` and answer with their endings, until it is closed.

    A SpecError is sent back as it is: the caller's input is wrong for every repetition.
    """
    came = list[int]()
    try:
        came = _unwind_on_term()
        _answer(link, job)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception:
        # An interrupted call may raise something else: Popen.communicate an AttributeError (Python 3.11).
        if not came:
            raise


def _answer(link: Connection, job: Job) -> None:
    lab = Lab(run_dir=job.run_dir, time_scale=job.request.time_scale, cold=job.request.cold)
    with job.holding(is_worker=True) as holding:
        while True:
            repetition: Repetition = link.recv()
            try:
                link.send(play(job, repetition, lab, holding))
            except SpecError as error:
                link.send(error)


def play(job: Job, repetition: Repetition, lab: Lab, holding: Holding | None = None) -> Ending:
    """Play one repetition; its evidence stays unless it passed; raises SpecError as `CellRun.run`."""
    name = repetition.name
    run = CellRun(
        cell=job.cell,
        scenario=job.scenario,
        lab=lab.at(job.run_dir / name),
        target=target_of(job.cell.image, job.cell.machine, job.request.port),
        address=job.request.port or None,
        worker=f"pid {os.getpid()}",
        delays=repetition.delays,
        icount_shift=repetition.icount_shift,
        repro=job.hunt.repro(repetition.number),
        holding=holding,
    )
    try:
        with host_load(repetition.load):
            result = run.run()
    except SpecError:
        raise
    except (EmulatorError, HarnessError) as error:
        return broken_ending(repetition, str(error), directory=name)
    if Status(result.status) is Status.PASSED and not job.request.keeps_passes:
        shutil.rmtree(job.run_dir / name, ignore_errors=True)
        return ending_of(repetition, result, directory="")
    return ending_of(repetition, result, directory=f"{name}/{result.directory}")


def _unwind_on_term() -> list[int]:
    """Leave Ctrl-C to the parent, which sends SIGTERM; so does the kernel if the parent dies."""
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which QEMU would inherit
    signal.signal(signal.SIGHUP, lambda *_: None)  # a closed window: the parent gets it too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    came = unwind_on(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return came


CLOSE_S = 30.0
"""Seconds that workers have to close their machines before they are killed, and QEMU with them."""
_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the progress bar's thread only in part


@dataclass(slots=True, kw_only=True)
class _Worker:
    """One worker and what it is playing."""

    process: BaseProcess
    link: Connection
    repetition: Repetition | None = None


@dataclass(slots=True)
class Workers:
    """A context manager: at its end no worker, no machine and no unfinished repetition is left.

    Attributes:
        job: what is repeated.
        size: number of workers.
        target: the function that each runs.
    """

    job: Job
    size: int
    clock: Clock = SYSTEM_CLOCK
    target: Callable[[Connection, Job], None] = work
    _workers: list[_Worker] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start nothing yet: workers start when there is work."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers; Ctrl-C waits until that is done."""
        with held_back():
            self._close()

    def play(self, repetitions: Iterator[Repetition]) -> Iterator[Ending]:
        """Yield the endings as they come; a free worker takes the next repetition; raises as `play`."""
        while len(self._workers) < self.size and self._give(None, repetitions):
            pass
        while busy := {worker.link: worker for worker in self._workers if worker.repetition is not None}:
            for link in wait(list(busy)):
                worker = busy[link]  # type: ignore[index]  # only connections were waited for
                ending = self._take(worker)
                yield ending
                self._give(worker, repetitions)

    def _take(self, worker: _Worker) -> Ending:
        repetition, worker.repetition = worker.repetition, None
        assert repetition is not None  # noqa: S101  # for mypy: it was busy
        try:
            answer: Ending | SpecError = worker.link.recv()
        except (EOFError, ConnectionError):
            worker.process.join()
            message = f"the worker died: {_how(worker.process.exitcode)}"
            return broken_ending(repetition, message, directory=repetition.name)
        if isinstance(answer, SpecError):
            raise answer
        return answer

    def _give(self, worker: _Worker | None, repetitions: Iterator[Repetition]) -> bool:
        """Give the next repetition, if any, to `worker`, or to a new one if that is None or dead."""
        repetition = next(repetitions, None)
        if repetition is None:
            return False
        if worker is not None and not worker.process.is_alive():
            worker.link.close()
            self._workers.remove(worker)
            worker = None
        if worker is None:
            worker = self._start_worker()
        worker.repetition = repetition
        with suppress(BrokenPipeError):  # it has just died; `play` sees that on the link
            worker.link.send(repetition)
        return True

    def _start_worker(self) -> _Worker:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=self.target, args=(theirs, self.job), daemon=True)
        resource_tracker.ensure_running()  # starting it unblocks SIGINT (Python 3.11)
        with held_back():
            process.start()
        theirs.close()
        worker = _Worker(process=process, link=ours)
        self._workers.append(worker)
        return worker

    def _close(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = Deadline.after(CLOSE_S, self.clock)
        for worker in self._workers:
            worker.process.join(deadline.remaining())
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.link.close()
            if worker.repetition is not None:
                shutil.rmtree(self.job.run_dir / worker.repetition.name, ignore_errors=True)
        self._workers.clear()


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
