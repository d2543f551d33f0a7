"""The only module that reads the time or sleeps; everything else gets a Clock or a Deadline."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start, never going back."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC in seconds: comparable between processes of one host boot."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()

STRETCH_MOST = 16.0
"""Seconds that one second of a FairClock may last because others use the host: nothing waits for ever."""
_SAMPLE_S = 0.02
"""Seconds between two looks at what the host withholds; a look costs 0.3 ms."""
_CARRY_S = 0.5
"""Withheld seconds that may still count later: the kernel counts a wait only once the thread runs again."""
STAND_MOST_S = 3600.0
"""Seconds that a FairClock may stand because somebody has stopped the guest, with a debugger say."""


def _never() -> bool:
    return False


class FairClock:
    """Time that the lab and its guests could use: it slows down while the host withholds its CPUs.

    A deadline on it is a budget of what the guest got, not of what passed elsewhere; at most STRETCH_MOST
    times `slow` seconds pass for each of its own. Any thread may use it.

    Attributes:
        passed: the clock that counts all time.
        slow: how many times slower than usual guests run here.
        unmet: withheld seconds that did not count, because of STRETCH_MOST; a wait that ended while this
            grew says nothing about a guest.
    """

    def __init__(
        self, clock: Clock = SYSTEM_CLOCK, *, withheld: Callable[[], float] = lambda: 0.0, slow: float = 1.0
    ) -> None:
        """Measure with `clock`; `withheld` returns how many seconds the host has withheld so far.

        Guests run `slow` times slower here than usual, from 1 on.
        """
        self.passed = clock
        self.unmet = 0.0
        self.slow = slow
        self._withheld = withheld
        self._stands, self._stood = _never, 0.0
        self._lock = threading.Lock()
        self._at, self._lost = clock.monotonic(), withheld()
        self._fair, self._owed = self._at, 0.0

    def monotonic(self) -> float:
        """Return the usable seconds since an arbitrary start, never going back."""
        with self._lock:
            passed = self.passed.monotonic() - self._at
            if passed >= _SAMPLE_S:
                self._advance(passed)
                passed = 0.0
            return self._fair + passed / (STRETCH_MOST * self.slow)

    @contextmanager
    def standing_while(self, stands: Callable[[], bool]) -> Iterator[None]:
        """Within the block count no time while `stands()`, which any thread may ask; STAND_MOST_S at most."""
        self._stands, self._stood = stands, 0.0
        try:
            yield
        finally:
            self._stands = _never

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass that the lab and its guests could use."""
        deadline = Deadline.after(seconds, self)
        while (rest := deadline.remaining()) > 0:
            self.passed.sleep(max(rest, _SAMPLE_S))

    def _advance(self, passed: float) -> None:
        withheld = self._withheld()
        if self._stood < STAND_MOST_S and self._stands():
            self._stood += passed
            self._fair += _SAMPLE_S / (STRETCH_MOST * self.slow)  # what a look meanwhile may have told
            self._at, self._lost = self._at + passed, withheld
            return
        lost = self._owed + max(0.0, withheld - self._lost)
        counted = min(lost, passed * (1 - 1 / STRETCH_MOST))
        self._owed = min(lost - counted, _CARRY_S)
        self.unmet += lost - counted - self._owed
        self._fair += (passed - counted) / self.slow
        self._at += passed
        self._lost = withheld


@dataclass(frozen=True, slots=True)
class Deadline:
    """An absolute moment, which nested waits share so that they can't add up.

    Attributes:
        at: the moment, in seconds of `clock.monotonic()`.
        clock: the clock that it refers to.
    """

    at: float
    clock: Clock = SYSTEM_CLOCK

    @classmethod
    def after(cls, seconds: float, clock: Clock = SYSTEM_CLOCK) -> Deadline:
        """Return the deadline that lies `seconds` from now."""
        return cls(clock.monotonic() + seconds, clock)

    def remaining(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self.at - self.clock.monotonic())

    def expired(self) -> bool:
        """Tell whether the moment has come."""
        return self.clock.monotonic() >= self.at

    def sooner(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and `seconds` from now."""
        return Deadline(min(self.at, self.clock.monotonic() + seconds), self.clock)


LOAD_S = 30.0
"""Seconds that code of a user's may take to be imported."""


@contextmanager
def loading(seconds: float = LOAD_S) -> Iterator[None]:
    """Raise SystemExit, which few hold back, in a block that loads a user's code for more than `seconds`.

    It is raised again each second; on other threads than the main one nothing ends the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(f"has not ended in {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    left = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
        signal.signal(signal.SIGALRM, before)


async def pause(seconds: float) -> None:
    """Let `seconds` pass for one task of an asyncio loop; the others go on."""
    import asyncio  # noqa: PLC0415  # saves commands without a loop 0.1 s

    await asyncio.sleep(seconds)


def utc_now() -> datetime:
    """Return the wall-clock time in UTC; for names and reports, never for waiting."""
    return datetime.now(UTC)
