"""When to come back after a link has ended, and when a watched pattern has been seen; pure."""

from __future__ import annotations

import re

from emulator.errors import SpecError
from harness.azure.names import NOT_TRUSTED, EndKind

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
STEADY_S = 10.0
"""A link that lived so long was a good one: what follows begins anew, seconds."""
TRUST_TRIES = 3
"""The live service refuses good tokens now and then (azure.md 3, F5)."""
WINDOW = 65_536
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Reconnection:
    """Counts failures in a row, and says how long to pause before the next try.

    Attributes:
        window_s: how long after the first failure in a row one goes on trying, seconds; 0 never tries.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._failures = 0
        self._refusals = 0
        self._waited_s = 0.0

    def was_good(self, lived_s: float) -> None:
        """Note that a link lived for so long before it ended."""
        if lived_s >= STEADY_S:
            self._failures, self._refusals, self._waited_s = 0, 0, 0.0

    def pause_after(self, kind: EndKind, reason: str = "") -> float | None:
        """Return how many seconds to wait before the next try; None where there must be none."""
        if kind is EndKind.REFUSED:
            self._refusals += 1
            if not reason.startswith(NOT_TRUSTED) or self._refusals >= TRUST_TRIES:
                return None
        elif kind is not EndKind.DROPPED:
            return None
        pause = min(FIRST_PAUSE_S * 2.0**self._failures, LONGEST_PAUSE_S)
        if self._waited_s + pause > self.window_s:
            return None
        self._failures += 1
        self._waited_s += pause
        return pause


class PatternWatch:
    """Looks for a pattern in a stream, whatever its chunks; matches longer than WINDOW are not found."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._tail = bytearray()

    def feed(self, data: bytes) -> bool:
        """Tell whether the pattern has come, with `data` or before in the last WINDOW bytes."""
        self._tail += data
        found = self._pattern.search(self._tail) is not None
        del self._tail[:-WINDOW]
        return found


def watch_for(pattern: str) -> PatternWatch | None:
    """Return a watch for a regular expression on bytes; None for "".

    Raises:
        SpecError: it is no regular expression.
    """
    if not pattern:
        return None
    try:
        return PatternWatch(re.compile(pattern.encode(), re.DOTALL))
    except re.error as error:
        raise SpecError(f"--until is {pattern!r}: {error}") from error


def parse_time(text: str, *, option: str) -> float:
    """Return seconds from "30s", "500ms", "2m", "1h" or a number.

    Raises:
        SpecError: it is none of these.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise SpecError(f"{option} is {text!r}; allowed: a number with ms, s, m or h behind it, as 30s")
    return float(found[1]) * _UNITS[found[2]]
