"""Take a part of a matrix: by an expression as pytest's `-k` reads it, or by shard; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from emulator.errors import SpecError
from harness.cell import Cell

Predicate: TypeAlias = Callable[[Collection[str]], bool]

_TOKEN = re.compile(r"[ \t]*(?:(?P<word>[\w:+\-.\[\]\\/]+)|(?P<sign>[()])|(?P<bad>.)|$)", re.DOTALL)
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_END = ""


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
    """Return a function that tells whether names match; the grammar is that of pytest's `-k`.

    Raises:
        SpecError: no such expression; the text says at which column.
    """
    return _Parser(expression).parse()


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


class _Parser:
    """Recursive descent over the expression; each method returns what it has read as a predicate."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = list(self._lex())

    def parse(self) -> Predicate:
        found = self._either()
        if self._tokens[0][0] != _END:
            raise self._error("'and', 'or' or the end")
        return found

    def _lex(self) -> Iterable[tuple[str, int]]:
        position = 0
        while position < len(self._expression):
            match = _TOKEN.match(self._expression, position)
            if match is None or match["bad"]:
                column = position + 1 if match is None else match.start("bad") + 1
                raise SpecError(f"expression {self._expression!r}: unexpected character at column {column}")
            position = match.end()
            if token := match["word"] or match["sign"]:
                yield token, match.end() - len(token) + 1
        yield _END, len(self._expression) + 1

    def _either(self) -> Predicate:
        sides = [self._both()]
        while self._take("or"):
            sides.append(self._both())
        return lambda names: any(side(names) for side in sides)

    def _both(self) -> Predicate:
        sides = [self._single()]
        while self._take("and"):
            sides.append(self._single())
        return lambda names: all(side(names) for side in sides)

    def _single(self) -> Predicate:
        if self._take("not"):
            denied = self._single()
            return lambda names: not denied(names)
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise self._error("')'")
            return inner
        if self._tokens[0][0] in {_END, "and", "or", ")"}:
            raise self._error("a word, 'not' or '('")
        word = self._tokens.pop(0)[0].lower()
        return lambda names: any(word in name.lower() for name in names)

    def _take(self, token: str) -> bool:
        if self._tokens[0][0] != token:
            return False
        del self._tokens[0]
        return True

    def _error(self, expected: str) -> SpecError:
        seen, column = self._tokens[0]
        return SpecError(
            f"expression {self._expression!r}: expected {expected} at column {column}, "
            f"got {seen or 'the end'!r}"
        )
