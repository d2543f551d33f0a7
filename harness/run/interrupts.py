"""What asks a process to end: it unwinds as Ctrl-C does, and is held back where that would do harm."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

_INTERRUPT = frozenset({signal.SIGINT})
ENDINGS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
"""What asks a run to end: Ctrl-C, CI that cancels a job, a closed window."""
_UNWINDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def unwind_on(*numbers: signal.Signals, again: bool = False) -> list[int]:
    """Let signals end this process's work as Ctrl-C does, by KeyboardInterrupt; only the main thread may.

    One that is ignored, as under nohup, stays so. Returns a list that gets the numbers of those that come;
    unless `again`, only the first is raised, so that nothing disturbs the end.
    """
    came: list[int] = []

    def end(number: int, _: object) -> None:
        came.append(number)
        if again or len(came) == 1:
            raise KeyboardInterrupt

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    return came


@contextmanager
def unwinding() -> Iterator[list[int]]:
    """Let SIGTERM, SIGHUP or SIGQUIT end the block as Ctrl-C does, so that all is put back.

    Yields a list that gets the signal's number. Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    before = {one: signal.getsignal(one) for one in _UNWINDS}
    came = unwind_on(*(one for one, handler in before.items() if handler is signal.SIG_DFL))
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def held_back(signals: frozenset[signal.Signals] = _INTERRUPT) -> AbstractContextManager[None]:
    """Hold signals back from this thread and what it starts; a pending one arrives at the end."""
    return _masked(signal.SIG_BLOCK, signals)


def let_through() -> AbstractContextManager[None]:
    """Let what asks a run to end through for a while, as KeyboardInterrupt."""
    return _masked(signal.SIG_UNBLOCK, ENDINGS)


@contextmanager
def _masked(how: int, signals: frozenset[signal.Signals]) -> Iterator[None]:
    before = signal.pthread_sigmask(how, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def uninterrupted() -> Iterator[Callable[[], bool]]:
    """Hold back what asks a run to end; gives a function that takes it, and tells whether it came."""

    def came() -> bool:
        return bool(signal.sigpending() & ENDINGS) and signal.sigtimedwait(ENDINGS, 0) is not None

    with held_back(ENDINGS):
        yield came


def is_held_back() -> bool:
    """Tell whether this thread was started with SIGINT held back."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@contextmanager
def enter_key() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Enter was typed."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # there is none, as in CI
        yield lambda: False
        return

    def entered() -> bool:
        try:
            ours = os.tcgetpgrp(terminal) == os.getpgrp()  # reading would stop a run in the background
            return ours and bool(select.select([terminal], [], [], 0)[0]) and b"\n" in os.read(terminal, 4096)
        except OSError:  # its window was closed
            return True

    try:
        yield entered
    finally:
        os.close(terminal)
