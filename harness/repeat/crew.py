"""Several workers at once: each gets a repetition when it has ended one; one that dies is replaced."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.errors import SpecError
from harness.plugin.interrupts import held_back
from harness.repeat.outcome import Ending, broken_ending
from harness.repeat.plan import Repetition
from harness.repeat.worker import Job, work

CLOSE_S = 30.0
"""Seconds that workers may take to close their machines; then they are killed, and QEMU with them."""
_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the progress bar's thread half


@dataclass(slots=True, kw_only=True)
class _Hand:
    """One worker, and what it plays."""

    process: BaseProcess
    link: Connection
    repetition: Repetition | None = None


@dataclass(slots=True)
class Crew:
    """A context manager: at its end no worker, no machine and no half-done repetition is left.

    Attributes:
        job: what is repeated.
        size: how many workers.
        target: what each runs.
    """

    job: Job
    size: int
    clock: Clock = SYSTEM_CLOCK
    target: Callable[[Connection, Job], None] = work
    _hands: list[_Hand] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start nothing yet: workers start as there is work."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers; Ctrl-C waits until that is done."""
        with held_back():
            self._close()

    def play(self, repetitions: Iterator[Repetition]) -> Iterator[Ending]:
        """Yield the endings as they come; a repetition is taken when a worker is free.

        Raises:
            SpecError: the cell can't be made into a machine.
        """
        while len(self._hands) < self.size and self._give(None, repetitions):
            pass
        while busy := {hand.link: hand for hand in self._hands if hand.repetition is not None}:
            for link in wait(list(busy)):
                hand = busy[link]  # type: ignore[index]  # only connections were waited for
                ending = self._take(hand)
                yield ending
                self._give(hand, repetitions)

    def _take(self, hand: _Hand) -> Ending:
        repetition, hand.repetition = hand.repetition, None
        assert repetition is not None  # noqa: S101  # for mypy: it was busy
        try:
            answer: Ending | SpecError = hand.link.recv()
        except (EOFError, ConnectionError):
            hand.process.join()
            message = f"the worker died: {_how(hand.process.exitcode)}"
            return broken_ending(repetition, message, directory=repetition.name)
        if isinstance(answer, SpecError):
            raise answer
        return answer

    def _give(self, hand: _Hand | None, repetitions: Iterator[Repetition]) -> bool:
        """Give the next repetition to `hand`, or to a new worker if that is dead or None; tell if any."""
        repetition = next(repetitions, None)
        if repetition is None:
            return False
        if hand is not None and not hand.process.is_alive():
            hand.link.close()
            self._hands.remove(hand)
            hand = None
        if hand is None:
            hand = self._hire()
        hand.repetition = repetition
        with suppress(BrokenPipeError):  # it died just now: its end of the link says so
            hand.link.send(repetition)
        return True

    def _hire(self) -> _Hand:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=self.target, args=(theirs, self.job), daemon=True)
        resource_tracker.ensure_running()  # its start lets SIGINT through again (Python 3.11)
        with held_back():
            process.start()
        theirs.close()
        hand = _Hand(process=process, link=ours)
        self._hands.append(hand)
        return hand

    def _close(self) -> None:
        for hand in self._hands:
            hand.process.terminate()
        deadline = Deadline.after(CLOSE_S, self.clock)
        for hand in self._hands:
            hand.process.join(deadline.remaining())
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()
            hand.link.close()
            if hand.repetition is not None:
                shutil.rmtree(self.job.run_dir / hand.repetition.name, ignore_errors=True)
        self._hands.clear()


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
