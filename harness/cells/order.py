"""In which order cells are played; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from harness.cells.cell import Cell


def spread(cells: Iterable[Cell], kind_of: Callable[[Cell], Hashable]) -> tuple[Cell, ...]:
    """Return the cells so that each kind lies evenly among the others; the order within a kind stays.

    A Linux guest computes, and a SAC guest mostly waits to be typed at: workers that play them at the same
    time keep all cores busy.
    """
    kinds: dict[Hashable, list[Cell]] = defaultdict(list)
    for cell in cells:
        kinds[kind_of(cell)].append(cell)
    placed = [
        ((index + 0.5) / len(some), number, cell)
        for number, some in enumerate(kinds.values())
        for index, cell in enumerate(some)
    ]
    return tuple(cell for _, _, cell in sorted(placed, key=lambda one: one[:2]))
