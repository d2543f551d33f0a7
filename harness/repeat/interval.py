"""How sure a share is that was counted: Wilson's score interval; pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from emulator.errors import SpecError

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many of how many, and where the true probability lies.

    Attributes:
        count: how many.
        of: of how many; from 1 on.
        low, high: bounds of the interval, in [0, 1].
        confidence: share of all such intervals that hold the true probability.
    """

    count: int
    of: int
    low: float
    high: float
    confidence: float

    @property
    def estimate(self) -> float:
        """The share itself."""
        return self.count / self.of


def wilson(count: int, of: int, confidence: float = CONFIDENCE) -> Share:
    """Return the share with Wilson's score interval (E. B. Wilson, JASA 22, 1927, without correction).

    Unlike the textbook's estimate ± z * s it is right also for 0 of n: 0 of 200 is "at most 1.9 %".

    Raises:
        SpecError: `of` is below 1, or `count` not between 0 and `of`.
    """
    if of < 1 or not 0 <= count <= of:
        raise SpecError(f"a share of {count} in {of}; allowed: 0 to n in n, n from 1 on")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, spread = count / of, z * z / of
    middle = (p + spread / 2) / (1 + spread)
    half = z * sqrt(p * (1 - p) / of + spread / (4 * of)) / (1 + spread)
    # At the ends the bound is the estimate itself; rounding would leave 1e-17 there.
    low = 0.0 if count == 0 else max(0.0, min(p, middle - half))
    high = 1.0 if count == of else min(1.0, max(p, middle + half))
    return Share(count=count, of=of, low=low, high=high, confidence=confidence)
