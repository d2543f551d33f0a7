"""Cells, the points of a matrix: a guest image on a machine, playing one scenario; and how to select them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeVar

from emulator.errors import SpecError, unknown_name
from emulator.machine.spec import VCPUS_MOST, Firmware
from emulator.values import json_ready
from harness.scenario.settings import PLAIN, Settings

_NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_SHAPE = "IMAGE.MACHINE.FIRMWARE.VCPUS.SCENARIO"
_E = TypeVar("_E", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What runs as one test.

    Attributes:
        image: name in the catalog.
        machine: name of a machine (`emulator.machine.models`); without dots.
        firmware: what starts the kernel.
        vcpus: 1 to 64.
        scenario: name in the library; without dots, so that an id can be taken apart.
        settings: what its block of the matrix adds; no part of the id.

    Raises:
        SpecError: no image or scenario can have that name, or the number of CPUs is wrong.
    """

    image: str
    machine: str
    firmware: Firmware
    vcpus: int
    scenario: str
    settings: Settings = PLAIN

    def __post_init__(self) -> None:
        """Refuse what would make an id ambiguous."""
        if not _NAME.fullmatch(self.image):
            raise SpecError(f"image is {self.image!r}; allowed: lower-case letters, digits, '-' and '.'")
        if not _NAME.fullmatch(self.scenario) or "." in self.scenario:
            raise SpecError(f"scenario is {self.scenario!r}; allowed: lower-case letters, digits and '-'")
        if not _NAME.fullmatch(self.machine) or "." in self.machine:
            raise SpecError(f"machine is {self.machine!r}; allowed: lower-case letters, digits and '-'")
        if self.vcpus not in range(1, VCPUS_MOST + 1):
            raise SpecError(f"vcpus is {self.vcpus!r}; allowed: 1 to {VCPUS_MOST}")

    @property
    def id(self) -> str:
        """Stable name: in reports, in pytest's node ids, for `ttylab repro`."""
        return f"{self.image}.{self.machine}.{self.firmware}.{self.vcpus}.{self.scenario}"

    def words(self) -> dict[str, object]:
        """Return the cell as `run --list --json` prints it, with the key "settings" if it has any."""
        own = {} if self.settings == PLAIN else {"settings": json_ready(self.settings)}
        return own | {
            "id": self.id,
            "image": self.image,
            "machine": self.machine,
            "firmware": self.firmware.value,
            "vcpus": self.vcpus,
            "scenario": self.scenario,
        }


def parse_cell_id(
    text: str,
    *,
    images: Collection[str] = (),
    machines: Collection[str] = (),
    scenarios: Collection[str] = (),
) -> Cell:
    """Return the cell whose id is `text`, of the names that are given, if any; raises SpecError."""
    parts = text.rsplit(".", 4)
    if len(parts) != 5:
        raise SpecError(f"cell id {text!r} has {len(parts)} parts; it reads {_SHAPE}")
    image, machine, firmware, vcpus, scenario = parts
    where = f"cell id {text!r}"
    if re.fullmatch(r"[1-9][0-9]?", vcpus) is None:
        raise SpecError(f"{where}: vcpus is {vcpus!r}; allowed: 1 to {VCPUS_MOST}")
    return Cell(
        image=_known("image", image, images, where=where),
        machine=_known("machine", machine, machines, where=where),
        firmware=_member("firmware", firmware, Firmware, where=where),
        vcpus=int(vcpus),
        scenario=_known("scenario", scenario, scenarios, where=where),
    )


def _member(axis: str, value: str, enum: type[_E], *, where: str) -> _E:
    _known(axis, value, [str(member) for member in enum], where=where)
    return enum(value)


def _known(axis: str, value: str, known: Collection[str], *, where: str) -> str:
    if known and value not in known:
        raise SpecError(f"{where}: {unknown_name(axis, value, known)}")
    return value


def spread(cells: Iterable[Cell], kind_of: Callable[[Cell], Hashable]) -> tuple[Cell, ...]:
    """Return the cells with each kind spread evenly among the others, in the same order within each kind.

    A Linux guest computes, while a SAC guest mostly waits for input: playing both at the same time keeps all
    cores busy.
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


Predicate: TypeAlias = Callable[[Collection[str]], bool]

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


def select(
    cells: Iterable[Cell], expression: str, *, tags: Mapping[str, Collection[str]] | None = None
) -> tuple[Cell, ...]:
    """Return the cells that `pytest -k expression` would run, in the given order; raises SpecError.

    The expression is words joined by `and`, `or`, `not` and parentheses; a word matches names that contain
    it, in upper or lower case. Empty selects all. A cell matches by the `tags` of its scenario as well as by
    its id. Unlike pytest's, a word that is the id of a cell means that cell alone.
    """
    if not expression.strip():
        return tuple(cells)
    known, given = tags or {}, tuple(cells)
    wanted = compile_expression(expression, ids=frozenset(cell.id for cell in given))
    return tuple(cell for cell in given if wanted((cell.id, *known.get(cell.scenario, ()))))


def compile_expression(expression: str, *, ids: Collection[str] = ()) -> Predicate:
    """Return what tells whether names match, compiled by pytest; `ids` match as a whole; raises SpecError.

    The compiler is private to pytest, but no other is certain to agree with the run that follows; pytest's
    version is bounded in pyproject.toml.
    """
    from _pytest.mark.expression import Expression  # noqa: PLC0415 - half a start

    try:
        compiled = Expression.compile(expression)
    except SyntaxError as error:
        raise SpecError(f"expression {expression!r}: column {error.offset}: {error.msg}") from error

    def is_match(names: Collection[str]) -> bool:
        def has(word: str, /, **arguments: object) -> bool:
            if arguments:  # the grammar is shared with -m, where a marker may have some
                raise SpecError(f"expression {expression!r}: {word!r} can't have arguments")
            return word in names if word in ids else any(word.lower() in name.lower() for name in names)

        return compiled.evaluate(has)

    return is_match


def mark_name(tag: str) -> str:
    """Return a scenario's tag as the name of a pytest marker."""
    return tag.replace("-", "_")


def shard(cells: Iterable[Cell], index: int, count: int) -> tuple[Cell, ...]:
    """Return part `index` (from 1) of `count`, all of them disjoint; raises SpecError if there is none.

    Cells are dealt like cards in the order of their ids, so that part sizes differ by at most one, in total
    and for every image, machine and firmware, and no part gets all the slow guests.
    """
    if count < 1 or index not in range(1, count + 1):
        raise SpecError(f"shard {index}/{count}: the number before '/' is 1 to {max(count, 1)}")
    return tuple(sorted(cells, key=lambda cell: cell.id)[index - 1 :: count])


def parse_shard(text: str) -> tuple[int, int]:
    """Return index and count of a shard written as "2/5"; raises SpecError if there is no such part."""
    found = _SHARD.fullmatch(text)
    if found is None:
        raise SpecError(f"shard {text!r}: write INDEX/COUNT, as in 2/5")
    index, count = int(found[1]), int(found[2])
    shard((), index, count)
    return index, count
