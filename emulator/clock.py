"""The only module that reads the time or sleeps; everything else gets a Clock or a Deadline."""

from __future__ import annotations

import time
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


class FakeClock:
    """A clock for tests that moves only when somebody sleeps or calls `advance`."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def monotonic(self) -> float:
        """Return the set time in seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advance at once by `seconds`."""
        self._now += seconds

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        self._now += seconds


SYSTEM_CLOCK = SystemClock()


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


async def pause(seconds: float) -> None:
    """Let `seconds` pass for one task of an asyncio loop; the others go on."""
    import asyncio  # noqa: PLC0415  # saves commands without a loop 0.1 s

    await asyncio.sleep(seconds)


def utc_now() -> datetime:
    """Return the wall-clock time in UTC; for names and reports, never for waiting."""
    return datetime.now(UTC)
