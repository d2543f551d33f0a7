"""Read a TOML file into a validated value; every complaint names file, key and what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from emulator.errors import SpecError

Model = TypeVar("Model", bound=BaseModel)


def load_toml(path: Path, model: type[Model]) -> Model:
    """Return the content of `path` as `model`.

    Raises:
        SpecError: the file can't be read, is not TOML, or has an unknown key or a wrong value;
            the text has one line for each complaint.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not TOML: {error}") from error
    return parse_table(raw, model, origin=str(path))


def parse_table(raw: object, model: type[Model], *, origin: str) -> Model:
    """Return `raw` as `model`; `origin` names the place in complaints.

    Raises:
        SpecError: as `load_toml`.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [f"{origin}: {_complaint(dict(detail), model)}" for detail in error.errors(include_url=False)]
        raise SpecError("\n".join(lines)) from error


def _complaint(detail: dict[str, object], model: type[BaseModel]) -> str:
    location = detail["loc"]
    key = ".".join(str(part) for part in location) if isinstance(location, tuple) else str(location)
    if detail["type"] == "extra_forbidden":
        table = _table_at(location[:-1], model) if isinstance(location, tuple) else model
        allowed = ", ".join(sorted(table.model_fields))
        return f"unknown key {key!r} with the value {detail['input']!r}; allowed: {allowed}"
    if detail["type"] == "missing":
        return f"key {key!r} is missing"
    return f"key {key!r} has the value {detail['input']!r}: {detail['msg']}"


def _table_at(location: tuple[object, ...], model: type[BaseModel]) -> type[BaseModel]:
    """Return the model of the table at `location`; indices and the keys of free tables name no field."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
