"""Files become frozen dataclasses; complaints name the file, the key and what is needed.

The dataclass needs no preparation; where a type says too little, `Annotated[str, Field(pattern=...)]` says
more.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from emulator.errors import SpecError

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

T = TypeVar("T")
_NEEDS = {
    "dataclass_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "tuple_type": "Input should be a valid list",
    "frozen_set_type": "Input should be a valid list",
    "path_type": "Input should be a path",
}
"""Plainer words where pydantic names Python types."""


def load_toml(path: Path, kind: type[T]) -> T:
    """Return the content of `path` as a `kind`.

    Raises:
        SpecError: the file can't be read, is not TOML, or has an unknown key or a wrong value; the text has
            one line per complaint.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not TOML: {error}") from error
    return read_value(raw, kind, origin=str(path))


def load_json(text: bytes | str, kind: type[T], *, origin: str, whole: bool = False) -> T:
    """Return the JSON `text` as a `kind`; arguments and errors are those of `read_value`."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{origin}: not JSON: {error}") from error
    return read_value(raw, kind, origin=origin, whole=whole)


def read_value(raw: object, kind: type[T], *, origin: str, whole: bool = False) -> T:
    """Return what TOML or JSON gave as a `kind`.

    Args:
        raw: tables, lists, texts and numbers; none stands for another, except an int for a float.
        kind: a frozen dataclass; a SpecError of its `__post_init__` becomes a complaint too.
        origin: where it comes from, which starts each complaint.
        whole: whether every key must be there, even with a default: for what ttylab itself wrote.

    Raises:
        SpecError: as for `load_toml`.
    """
    from pydantic import ValidationError  # noqa: PLC0415  # a third of a start that reads no file

    try:
        validator = _validator(kind, whole=whole)  # type: ignore[arg-type]  # no class is Hashable to mypy
        value: T = validator.validate_python(raw)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise SpecError("\n".join(f"{origin}: {_complaint(dict(one), kind)}" for one in found)) from error
    return value


def dump_json(value: Any, *, indent: int | None = None) -> bytes:
    """Return `value` as JSON in UTF-8, its keys in the order of the fields."""
    text: bytes = _adapter(value.__class__).dump_json(value, indent=indent)
    return text


def json_ready(value: Any) -> Any:
    """Return `value` ready for `json`: dataclasses as tables, paths as texts, sets as sorted lists."""
    if is_dataclass(value):
        return {field.name: json_ready(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: json_ready(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return str(value) if isinstance(value, Path) else value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415  # as above

    return TypeAdapter(kind)


@cache
def _validator(kind: Any, *, whole: bool) -> SchemaValidator:
    from pydantic_core import SchemaValidator  # noqa: PLC0415  # as above

    return SchemaValidator(_exact(_adapter(kind).core_schema, whole=whole))


def _exact(schema: Any, *, whole: bool) -> Any:
    """Return pydantic's schema of a kind, changed to what `read_value` promises.

    Pydantic's strict mode would also refuse lists for tuples, and texts for enums and paths; its strict JSON
    mode takes no text with bytes that are not UTF-8, which a path may have.
    """
    if isinstance(schema, list | tuple):
        return type(schema)(_exact(one, whole=whole) for one in schema)
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if whole and kind == "default":
        return _exact(schema["schema"], whole=whole)
    changed = {key: _exact(one, whole=whole) for key, one in schema.items()}
    if kind in ("int", "float", "bool"):
        changed["strict"] = True
    if kind == "dataclass-args":
        changed["extra_behavior"] = "forbid"
    return changed


def _complaint(detail: Mapping[str, Any], kind: type[Any]) -> str:
    location = detail["loc"]
    key = ".".join(map(str, location))
    if detail["type"] == "unexpected_keyword_argument":
        allowed = ", ".join(sorted(get_type_hints(_table_at(location[:-1], kind))))
        return f"unknown key {key!r} with the value {detail['input']!r}; allowed: {allowed}"
    if detail["type"] == "missing":
        return f"key {key!r} is missing"
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}" if key else str(detail["ctx"]["error"])
    need = _NEEDS.get(detail["type"]) or detail["msg"].replace("Tuple", "List")
    return (
        f"key {key!r} has the value {detail['input']!r}: {need}" if key else f"is {detail['input']!r}: {need}"
    )


def _table_at(location: tuple[object, ...], kind: type[Any]) -> type[Any]:
    """Return the dataclass at `location`, where indices and keys of free tables name no field."""
    for part in location:
        found = get_type_hints(kind).get(str(part))
        if found is not None:
            kind = next(_dataclasses_in(found), kind)
    return kind


def _dataclasses_in(annotation: Any) -> Iterator[type[Any]]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _dataclasses_in(part)
