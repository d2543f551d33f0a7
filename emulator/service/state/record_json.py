"""Records as JSON and back; pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from emulator.cloud.records import Record
from emulator.errors import SpecError

KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Record)}


def dump_record(record: Record) -> bytes:
    """Return `record` as JSON."""
    return _adapter(type(record).__name__).dump_json(record)


def load_record(kind: str, data: bytes) -> Record:
    """Return the record that `dump_record` wrote.

    Raises:
        SpecError: it is damaged, or of a kind that there is not.
    """
    if kind not in KINDS:
        raise SpecError(f"there are no records of kind {kind!r}")
    try:
        record: Record = _adapter(kind).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"a {kind} is damaged: {where}: {first['msg']}") from error
    return record


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[kind])
