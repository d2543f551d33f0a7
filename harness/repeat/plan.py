"""What disturbs each repetition, drawn from a seed: the same seed gives the same plan; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from emulator.errors import SpecError
from harness.scenario.scenario import Scenario
from harness.scenario.steps import Inject

LOADS = (0, 1, 2, 4)
"""Numbers of busy processes beside a repetition."""
DELAY_MAX_S = 0.25
DELAY_STEP_S = 0.001
SHIFTS: tuple[int | None, ...] = (None, 3, 6)
"""How guest time runs: with the host's, or 8 or 64 ns per instruction. Each needs its own snapshot."""
NO_JITTER = "none"
_T = TypeVar("_T")


class Jitter(StrEnum):
    """A kind of disturbance."""

    LOAD = "load"  # busy processes on the host
    ICOUNT = "icount"  # guest time counted in instructions
    DELAY = "delay"  # a wait before each stimulus


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """One repetition of a cell.

    Attributes:
        number: from 1.
        load: number of busy processes on the host meanwhile.
        delays: seconds to wait before a step, by its index in the scenario.
        icount_shift: as in `MachineSpec`.
    """

    number: int
    load: int = 0
    delays: Mapping[int, float] = field(default_factory=dict)
    icount_shift: int | None = None

    @property
    def name(self) -> str:
        """Name of its directory."""
        return f"{self.number:04}"


def parse_jitter(text: str) -> frozenset[Jitter]:
    """Return the kinds that `text` names: words joined by commas, or "none"; raises SpecError."""
    words = [word.strip() for word in text.split(",")]
    if words == [NO_JITTER]:
        return frozenset()
    for word in words:
        if word not in tuple(Jitter):
            allowed = f"{NO_JITTER}, or some of {', '.join(Jitter)}, joined by commas"
            raise SpecError(f"--jitter is {text!r}; allowed: {allowed}")
    return frozenset(Jitter(word) for word in words)


def draw_repetition(number: int, *, seed: int, kinds: Iterable[Jitter], scenario: Scenario) -> Repetition:
    """Return repetition `number` of the plan that `seed` gives.

    It depends neither on other repetitions nor on other kinds, so it can be replayed alone.
    """
    wanted = frozenset(kinds)
    at = f"{seed}:{number}"
    stimuli = [index for index, step in enumerate(scenario.steps) if isinstance(step, Inject)]
    return Repetition(
        number=number,
        load=_pick(LOADS, f"{at}:load") if Jitter.LOAD in wanted else 0,
        delays={index: _delay(f"{at}:delay:{index}") for index in stimuli} if Jitter.DELAY in wanted else {},
        icount_shift=_pick(SHIFTS, f"{at}:icount") if Jitter.ICOUNT in wanted else None,
    )


def _delay(key: str) -> float:
    steps = round(DELAY_MAX_S / DELAY_STEP_S)
    return round(_pick(range(steps + 1), key) * DELAY_STEP_S, 3)


def _pick(choices: Sequence[_T], key: str) -> _T:
    # A hash, not `random`: the same in every version of Python, and pure.
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return choices[number * len(choices) >> 64]
