"""Values at the door: what is taken, and that every complaint names file, key and what is allowed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from emulator.errors import SpecError
from emulator.values import dump_json, json_ready, load_json, load_toml, read_value


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    size: int
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "part"

    def __post_init__(self):
        if self.size == 13:
            raise SpecError("size is 13; allowed: any other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    place: Path
    weight: float = 1.0
    is_new: bool = False
    colours: frozenset[Colour] = frozenset()
    parts: tuple[Part, ...] = ()
    named: Mapping[str, Part] = field(default_factory=dict)
    which: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"


VALUE = Whole(
    place=Path("/a/\udcff"),
    weight=2.5,
    colours=frozenset(Colour),
    parts=(Part(size=1), Part(size=2, name="b")),
    named={"x": Part(size=3)},
    which=("a", "b"),
)


def test_value_is_read_as_it_was_written():
    table = json_ready(VALUE)
    assert table["colours"] == ["blue", "red"]
    assert load_json(json.dumps(table), Whole, origin="here", whole=True) == VALUE


def test_json_of_a_value_has_the_fields_in_their_order():
    assert dump_json(Part(size=5, name="ü")).decode() == '{"size":5,"name":"ü"}'
    assert dump_json(Part(size=5), indent=1) == b'{\n "size": 5,\n "name": "part"\n}'


def test_what_is_absent_has_its_default_and_an_int_is_a_float():
    assert read_value({"place": "/a", "weight": 2}, Whole, origin="here") == Whole(
        place=Path("/a"), weight=2.0
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"place": 5}, "key 'place' has the value 5: Input should be a path"),
        ({"weight": "2"}, "key 'weight' has the value '2': Input should be a valid number"),
        ({"weight": True}, "key 'weight' has the value True: Input should be a valid number"),
        ({"is_new": 1}, "key 'is_new' has the value 1: Input should be a valid boolean"),
        ({"colours": "red"}, "key 'colours' has the value 'red': Input should be a valid list, as ['red']"),
        ({"colours": ["green"]}, "key 'colours.0' has the value 'green': Input should be 'red' or 'blue'"),
        (
            {"colours": ["bluee"]},
            "key 'colours.0' has the value 'bluee': Input should be 'red' or 'blue'; did you",
        ),
        ({"parts": {}}, "key 'parts' has the value {}: Input should be a valid list"),
        ({"parts": [5]}, "key 'parts.0' has the value 5: Input should be an object with size, name"),
        ({"parts": [{}]}, "key 'parts.0.size' is missing"),
        ({"parts": [{"size": 1.0}]}, "key 'parts.0.size' has the value 1.0: Input should be a valid integer"),
        ({"parts": [{"size": 13}]}, "parts.0: size is 13; allowed: any other"),
        ({"parts": [{"size": 1, "name": "A"}]}, "key 'parts.0.name' has the value 'A': String should match"),
        ({"named": []}, "key 'named' has the value []: Input should be an object"),
        (
            {"named": {"x": {"size": 1, "y": 2}}},
            "unknown key 'named.x.y' with the value 2; allowed: name, size",
        ),
        ({"size": 1}, "unknown key 'size' with the value 1; allowed: colours, is_new, named, parts, place"),
    ],
)
def test_wrong_value_is_refused_with_its_key_and_what_is_allowed(changes, complaint):
    with pytest.raises(SpecError) as refused:
        read_value({"place": "/a"} | changes, Whole, origin="here")
    assert str(refused.value).startswith(f"here: {complaint}")
    assert "\n" not in str(refused.value)


def test_each_complaint_has_a_line():
    with pytest.raises(
        SpecError, match=r"^here: key 'size' is missing\nhere: unknown key 'a' .*\nhere: unknown key 'b'"
    ):
        read_value({"a": 1, "b": 2}, Part, origin="here")


@pytest.mark.parametrize("raw", [None, [], "x", 5])
def test_what_is_no_object_is_refused(raw):
    with pytest.raises(SpecError, match=r"^here: is .*: Input should be an object$"):
        read_value(raw, Part, origin="here")


@pytest.mark.parametrize("place", ["weight", "parts.0.name", "named.x.name"])
def test_what_was_written_whole_must_be_whole(place):
    table = json_ready(VALUE)
    *path, last = place.split(".")
    inner = table
    for key in path:
        inner = inner[int(key) if key.isdigit() else key]
    del inner[last]
    assert read_value(table, Whole, origin="here")
    with pytest.raises(SpecError, match=f"^here: key '{place}' is missing$"):
        read_value(table, Whole, origin="here", whole=True)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(SpecError, match=r"^here: not JSON: "):
        load_json(text, Part, origin="here")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"size = 1\nname = 2026-01-01", "key 'name' has the value .*: Input should be a valid string"),
        (b"size = ", "not TOML: "),
        (b"\xff", "not TOML: "),
        (None, "can't be read: No such file"),
    ],
)
def test_toml_is_refused_with_its_file(tmp_path, text, complaint):
    path = tmp_path / "part.toml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SpecError, match=f"^{path}: {complaint}"):
        load_toml(path, Part)
