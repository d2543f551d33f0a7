"""A clock that stands until it is moved, for exact and quick tests of waits."""


class FakeClock:
    """A clock that moves only when somebody sleeps or calls `advance`."""

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
