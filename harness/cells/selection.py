"""Take a part of a matrix: by an expression as pytest's `-k` reads it, or by shard; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from emulator.errors import SpecError
from harness.cells.cell import Cell

Predicate: TypeAlias = Callable[[Collection[str]], bool]

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


def select(
    cells: Iterable[Cell], expression: str, *, tags: Mapping[str, Collection[str]] | None = None
) -> tuple[Cell, ...]:
    """Return the cells that `pytest -k expression` would run, in the given order.

    Args:
        cells: to choose from.
        expression: words joined by `and`, `or`, `not` and parentheses; a word matches what contains
            it, in any case. Empty selects all.
        tags: a scenario's tags by its name; each is a name of the cell as its id is.

    Raises:
        SpecError: no such expression.
    """
    if not expression.strip():
        return tuple(cells)
    wanted = compile_expression(expression)
    known = tags or {}
    return tuple(cell for cell in cells if wanted((cell.id, *known.get(cell.scenario, ()))))


def compile_expression(expression: str) -> Predicate:
    """Return a function that tells whether names match, compiled by pytest itself.

    Its compiler is private to pytest, but the only one that can't disagree with the run that follows;
    pytest's version is bounded in pyproject.toml.

    Raises:
        SpecError: no such expression; the text says at which column.
    """
    from _pytest.mark.expression import Expression  # noqa: PLC0415 - half a start

    try:
        compiled = Expression.compile(expression)
    except SyntaxError as error:
        raise SpecError(f"expression {expression!r}: column {error.offset}: {error.msg}") from error

    def is_match(names: Collection[str]) -> bool:
        def has(word: str, /, **arguments: object) -> bool:
            if arguments:  # the grammar is also that of -m, where a marker may have some
                raise SpecError(f"expression {expression!r}: {word!r} can't have arguments")
            return any(word.lower() in name.lower() for name in names)

        return compiled.evaluate(has)

    return is_match


def mark_name(tag: str) -> str:
    """Return a scenario's tag as the name of a pytest marker."""
    return tag.replace("-", "_")


def shard(cells: Iterable[Cell], index: int, count: int) -> tuple[Cell, ...]:
    """Return part `index` (from 1) of `count`: the parts are disjoint and together they are `cells`.

    Cells are dealt like cards in the order of their ids, so part sizes differ by at most one, in all
    and for every image, machine and firmware; no part gets all the slow guests.

    Raises:
        SpecError: there is no such part.
    """
    if count < 1 or index not in range(1, count + 1):
        raise SpecError(f"shard {index}/{count}: the number before '/' is 1 to {max(count, 1)}")
    return tuple(sorted(cells, key=lambda cell: cell.id)[index - 1 :: count])


def parse_shard(text: str) -> tuple[int, int]:
    """Return index and count of a shard written as "2/5".

    Raises:
        SpecError: not written so, or there is no such part.
    """
    found = _SHARD.fullmatch(text)
    if found is None:
        raise SpecError(f"shard {text!r}: write INDEX/COUNT, as in 2/5")
    index, count = int(found[1]), int(found[2])
    shard((), index, count)
    return index, count
