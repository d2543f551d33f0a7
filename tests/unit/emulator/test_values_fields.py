"""Fields of a dataclass are of their types, or the complaint says what is allowed."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest

from emulator.errors import SpecError
from emulator.values import Text, require_fields


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Part:
    name: str = "part"


@dataclass(frozen=True)
class Whole:
    count: Annotated[int, range(1, 5)] = 1
    word: Annotated[str, Text("[a-z]+", "lower-case letters")] = "word"
    path: Path | None = None
    colour: Colour = Colour.RED
    on: bool = False
    parts: tuple[Part, ...] = ()
    paths: tuple[Path, ...] = ()
    best: Part | None = None
    limit: Annotated[int, range(3)] | None = None


def test_fields_of_their_types_are_let_through():
    require_fields(Whole(path=Path("/a"), parts=(Part(),), paths=(Path("/b"),), best=Part(), limit=0))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"count": 5}, "w.count is 5; allowed: 1 to 4"),
        ({"count": True}, "w.count is True; allowed: 1 to 4"),
        ({"limit": 3}, "w.limit is 3; allowed: 0 to 2"),
        ({"word": "Word"}, "w.word is 'Word'; allowed: lower-case letters"),
        ({"word": 1}, "w.word is 1; allowed: lower-case letters"),
        ({"path": Path("a")}, "w.path is a; allowed: an absolute path without NUL"),
        ({"path": Path("/a\0")}, "w.path is /a\0; allowed: an absolute path without NUL"),
        ({"colour": "red"}, "w.colour is 'red'; allowed: red blue"),
        ({"on": 1}, "w.on is 1; allowed: true, false"),
        ({"parts": [Part()]}, r"w.parts is [Part(name='part')]; allowed: a tuple of Part"),
        (
            {"paths": (Path("a"),)},
            "w.paths is (PosixPath('a'),); allowed: a tuple of absolute paths without NUL",
        ),
        ({"best": "part"}, "w.best is 'part'; allowed: none, or Part"),
    ],
)
def test_other_values_are_refused_by_name(changes, complaint):
    with pytest.raises(SpecError) as caught:
        require_fields(replace(Whole(), **changes), prefix="w.")
    assert str(caught.value) == complaint
