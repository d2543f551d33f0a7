"""Files become frozen dataclasses; complaints name the file, the key and what is needed.

The dataclass needs no preparation; where a type says too little, `Annotated[str, Field(pattern=...)]` says
more. Nothing here trusts a file: what is too large, too deep or of another kind is refused in a line, and no
complaint shows a secret.
"""

from __future__ import annotations

import json
import re
import reprlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from emulator.errors import SpecError
from emulator.files import read_whole
from emulator.guest_text.printable import visible

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
_LISTS = ("tuple_type", "frozen_set_type")


TOML_MOST = 4 << 20
"""Bytes of a TOML file: tomllib takes a second for each MB."""
JSON_MOST = 1 << 30
"""Bytes of a JSON file: run.json has some 10 KB for each cell."""
_COMPLAINTS_MOST = 10
_TABLE, _WORD = "\0table", "\0word"
"""How pydantic names the sides of a union in the place of a complaint; no sane key has that byte."""
_SECRETS = ("password", "passwd", "passphrase", "secret", "token", "credential", "pwd", "pass", "key")
"""Words in the name of a secret; a name that is almost one of them counts too, being a slip of the pen."""
_HIDDEN = "a value that is not shown here, as it may be a secret"
_LONG_KEY = re.compile(
    r"""(?<![\w"'\\-])(?P<part>"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[\w-]++)"""
    r"""(?:[ \t]*+\.[ \t]*+(?:"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[\w-]++)){32}""",
    re.ASCII,
)
"""A key of more than 32 parts: tomllib's time grows with the square of their number."""


def load_toml(path: Path, kind: type[T]) -> T:
    """Return the content of `path` as a `kind`; arguments and errors are those of `read_toml`."""
    return read_value(read_toml(path), kind, origin=visible(str(path)))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of `path`.

    Raises:
        SpecError: the file can't be read, is no regular file, or is not TOML; or, from `load_toml`, has an
            unknown key or a wrong value: the text has one line per complaint, ten at most.
    """
    shown = visible(str(path))
    try:
        text = read_whole(path, most=TOML_MOST).decode("utf-8")
        if not _LONG_KEY.search(text):
            return tomllib.loads(text)
    except OSError as error:
        raise SpecError(f"{shown}: can't be read: {error.strerror}") from error
    except RecursionError:
        raise SpecError(f"{shown}: not TOML: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, an integer of 5000 digits
        raise SpecError(f"{shown}: not TOML: {visible(str(error))}") from error
    raise SpecError(f"{shown}: not TOML: a key has more than 32 parts")


def load_json(text: bytes | str, kind: type[T], *, origin: str, whole: bool = False) -> T:
    """Return the JSON `text` as a `kind`; arguments and errors are those of `read_value`."""
    return read_value(parse_json(text, origin=origin), kind, origin=origin, whole=whole)


def parse_json(text: bytes | str, *, origin: str) -> Any:
    """Return what the JSON `text` says; raises SpecError, which names `origin`, if it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise SpecError(f"{origin}: not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise SpecError(f"{origin}: not JSON: {visible(str(error))}") from error


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
        lines = [f"{origin}: {_complaint(dict(one), kind)}" for one in found[:_COMPLAINTS_MOST]]
        if len(found) > _COMPLAINTS_MOST:
            lines.append(f"{origin}: {len(found) - _COMPLAINTS_MOST} more complaints")
        # Not `from error`: a traceback would show the values that pydantic quotes, secrets among them.
        raise SpecError("\n".join(lines)) from None
    return value


def dump_json(value: Any, *, indent: int | None = None) -> bytes:
    """Return `value` as JSON in UTF-8, its keys in the order of the fields."""
    try:
        text: bytes = _adapter(value.__class__).dump_json(value, indent=indent)
    except ValueError:  # a path that is not UTF-8, which pydantic writes in no way
        return json.dumps(json_ready(value), indent=indent).encode()
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
    kinds = [one["type"] for one in changed["choices"]] if kind == "union" else []
    tables = (["literal", "dataclass"], ["literal", "definition-ref"])  # the latter is one that is used twice
    return _told_apart(changed) if kinds in tables else changed


def _told_apart(union: dict[str, Any]) -> dict[str, Any]:
    """Return a union of a word and a table as one where the value itself says which it means to be."""
    return {
        "type": "tagged-union",
        "choices": dict(zip((_WORD, _TABLE), union["choices"], strict=True)),
        "discriminator": lambda value: _TABLE if isinstance(value, Mapping) else _WORD,
    }


def _complaint(detail: Mapping[str, Any], kind: type[Any]) -> str:
    location = tuple(one for one in detail["loc"] if one not in (_TABLE, _WORD))
    key = visible(".".join(map(str, location)))
    if detail["type"] == "missing":
        return f"key {key!r} is missing"
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}" if key else str(detail["ctx"]["error"])
    hidden = _may_be_secret(location, kind, detail["type"])
    value = _HIDDEN if hidden else f"the value {_shown(detail['input'])}"
    if detail["type"] == "unexpected_keyword_argument":
        allowed = ", ".join(sorted(get_type_hints(_table_at(location[:-1], kind))))
        return f"unknown key {key!r} with {value}; allowed: {allowed}"
    need = _NEEDS.get(detail["type"]) or detail["msg"].replace("Tuple", "List")
    if detail["type"] == "dataclass_type" and key:
        need += f" with {', '.join(get_type_hints(_table_at(location, kind)))}"
    need += "" if hidden else _hint(detail)
    return f"key {key!r} has {value}: {need}" if key else f"is {value.removeprefix('the value ')}: {need}"


def _hint(detail: Mapping[str, Any]) -> str:
    """Return what a wrong text may have meant, after what is needed: a word like it, or a list of it."""
    given, needed = detail["input"], detail["type"]
    if not isinstance(given, str) or needed not in {"literal_error", "enum", *_LISTS}:
        return ""
    if needed in _LISTS:
        return f", as [{_shown(given)}]"
    close = get_close_matches(given, re.findall(r"'([^']*)'", detail["ctx"]["expected"]), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _may_be_secret(location: tuple[Any, ...], kind: type[Any], complaint: str) -> bool:
    """Tell whether the value at `location` is a secret, or stands where a table with a secret is needed."""
    here = _table_at(location, kind)
    known = fields(here) if is_dataclass(here) else ()
    secrets = {field.name for field in known if not field.repr or _is_secret(field.name)}
    if any(str(name) in secrets or _is_secret(str(name)) for name in location):
        return True
    return bool(secrets) and complaint in ("dataclass_type", "dict_type", "tuple_type")


def _is_secret(name: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[:200]).lower())
    return any(get_close_matches(word.removesuffix("s"), _SECRETS, n=1, cutoff=0.8) for word in words)


class _Short(reprlib.Repr):
    def repr_str(self, value: str, level: int) -> str:
        return super().repr_str(visible(value), level)


def _shown(value: object) -> str:
    """Return `value` in a few words, without the values of keys that are secrets."""
    short = _Short()
    short.maxstring = short.maxother = 100
    short.maxlevel = 2
    return short.repr(_masked(value, 3))


def _masked(value: object, levels: int) -> object:
    if isinstance(value, Mapping):
        return {
            key: "***" if levels == 0 or _is_secret(str(key)) else _masked(one, levels - 1)
            for key, one in list(value.items())[:20]
        }
    if isinstance(value, list):
        return [_masked(one, levels - 1) if levels else "***" for one in value[:20]]
    return value


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


@dataclass(frozen=True, slots=True)
class Text:
    """What a text may be, for `Annotated`: a pattern for the whole of it, and the same in words."""

    pattern: str
    allowed: str


def wrong(name: str, value: object, *, allowed: str) -> SpecError:
    """Return the complaint about a value that a field can't have."""
    shown = str(value) if isinstance(value, StrEnum | Path) else repr(value)
    return SpecError(f"{name} is {shown}; allowed: {allowed}")


def require_fields(value: Any, *, prefix: str = "") -> None:
    """Check that the fields of a dataclass are of their types; raises the SpecError of `wrong`.

    `Annotated` says more: of an int a range, of a str a `Text`. A Path must be absolute and without NUL.
    """
    for name, hint in _hints(value.__class__).items():
        found = getattr(value, name)
        if not _fits(found, hint):
            raise wrong(f"{prefix}{name}", found, allowed=_allowed(hint))


@cache
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Annotated and isinstance(parts[1], range):
        return isinstance(value, int) and not isinstance(value, bool) and value in parts[1]
    if kind is Annotated and isinstance(parts[1], Text):
        return isinstance(value, str) and re.fullmatch(parts[1].pattern, value) is not None
    if kind in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind in (tuple, frozenset):
        return isinstance(value, kind) and all(_fits(one, parts[0]) for one in value)
    if hint is Path:
        # A relative path is another file where a run is reproduced, and QEMU takes "a:b" for a protocol.
        return isinstance(value, Path) and value.is_absolute() and "\0" not in str(value)
    return not isinstance(hint, type) or isinstance(value, hint)


def _allowed(hint: Any) -> str:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Annotated:
        rule = parts[1]
        return f"{rule.start} to {rule.stop - 1}" if isinstance(rule, range) else str(rule.allowed)
    if kind in (Union, UnionType):
        none = "none, or " if is_dataclass(parts[0]) else ""
        return none + _allowed(parts[0])
    if kind in (tuple, frozenset):
        member = "absolute paths without NUL" if parts[0] is Path else parts[0].__name__
        return f"a {kind.__name__} of {member}"
    if issubclass(hint, StrEnum):
        return " ".join(hint)
    return str({bool: "true, false", Path: "an absolute path without NUL"}.get(hint, hint.__name__))
