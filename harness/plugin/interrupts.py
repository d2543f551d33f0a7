"""Ctrl-C under xdist: it goes to every process of the run, and workers take it only while they play a cell.

A worker that took it while it starts or collects would print a traceback, from wherever it was, into
the controller's one clean summary. So workers start with SIGINT held back, which they inherit, and let
it through around each test; one that came in between ends the next test at its begin.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

_INTERRUPT = frozenset({signal.SIGINT})


@contextmanager
def held_back() -> Iterator[None]:
    """Hold SIGINT back from this thread and from all that it starts; a pending one comes at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_held_back() -> bool:
    """Tell whether this thread was started with SIGINT held back."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


class InterruptibleTests:
    """Registered in a worker that holds SIGINT back: it comes through while a test runs."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """Let SIGINT through for one test."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
        try:
            return (yield)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
