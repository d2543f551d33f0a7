"""Write a lab.toml from values: for what a command line names, for a repository that has none; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from emulator.errors import SpecError
from emulator.guest_text.printable import visible


def toml_tables(tables: Mapping[str, object]) -> str:
    """Return tables by name ("images.server") as TOML, without what has its default; SpecError: no UTF-8."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in _said(table).items())
        for name, table in tables.items()
    )


def _said(table: Any) -> dict[str, Any]:
    """Return the items of a mapping, or the fields of a dataclass that have no default value."""
    if isinstance(table, Mapping):
        return dict(table)
    given = {one: getattr(table, one.name) for one in fields(table)}
    return {one.name: value for one, value in given.items() if value not in (one.default, ())}


def toml_key(name: str) -> str:
    """Return a name as a part of a key: one with a dot must be quoted."""
    return name if "." not in name else f'"{name}"'


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it on one line; raises SpecError as `toml_tables`."""
    if isinstance(value, list | tuple | frozenset):
        value = sorted(value) if isinstance(value, frozenset) else value
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping) or is_dataclass(value):
        inside = ", ".join(f"{key} = {toml_value(one)}" for key, one in _said(value).items())
        return f"{{ {inside} }}"
    if isinstance(value, str | Path):
        return _text(str(value))
    return json.dumps(value)


def _text(text: str) -> str:
    """Return a basic string: JSON's escapes are TOML's, and TOML wants one for DEL too."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SpecError(f"{visible(text)!r} is not UTF-8, which a lab.toml can't name; rename it") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
