"""Documents and filters from clients: checked, merged, and freed from what clients can't set; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emulator.cloud.refusals import refusal
from emulator.errors import CloudError

DEPTH_MAX = 32
VALUES_MAX = 20_000
"""Names and values in a request's body: each costs microseconds, more than once."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENVELOPE = frozenset({"id", "name", "type", "etag", "systemData"})
_COMPUTED = frozenset({"provisioningState", "vmId", "instanceView", "timeCreated", "uniqueId"})
_SECRETS = frozenset({"adminPassword", "customData"})


def table(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the object at `path`, or an empty one if there is none."""
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def require_storable(body: Any) -> None:
    """Check that `body`, read as JSON, can be written as JSON again, and is not too much to work with.

    Raises:
        CloudError: 400; it is nested too deeply, has too many values, or contains NaN, an infinity or half a
            surrogate pair.
    """
    waiting, seen = [(body, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > DEPTH_MAX:
            raise invalid(f"The request is nested more than {DEPTH_MAX} levels deep.")
        if isinstance(value, float) and not math.isfinite(value):
            raise invalid("The request has a number in it that is not finite.")
        if isinstance(value, str) and _SURROGATE.search(value):
            raise invalid("The request has text in it that is not Unicode.")
        children: list[Any] = []
        if isinstance(value, Mapping):
            children = [*value.keys(), *value.values()]
        elif isinstance(value, list):
            children = value
        if seen + len(waiting) + len(children) > VALUES_MAX:
            raise invalid(f"The request has more than {VALUES_MAX} names and values in it.")
        waiting += [(child, depth + 1) for child in children]


def merge(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with `patch` merged in as RFC 7396 says: null removes a member."""
    merged = dict(old)
    for name, value in patch.items():
        before = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = merge(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def own_part(body: Mapping[str, Any], *, computed: frozenset[str] = _COMPUTED) -> dict[str, Any]:
    """Return the part of `body` that a client can set: no ids, no states, no passwords, no nulls."""
    document = {
        name: without_nulls(value)
        for name, value in body.items()
        if name not in _ENVELOPE and value is not None
    }
    properties = document.get("properties")
    if isinstance(properties, dict):
        document["properties"] = {
            name: without_secrets(value) for name, value in properties.items() if name not in computed
        }
    return document


def without_nulls(value: Any) -> Any:
    """Return `value` without the members that are null, at any depth."""
    if isinstance(value, Mapping):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    return value


def without_secrets(value: Any) -> Any:
    """Return `value` without passwords, which Azure accepts and never shows."""
    if isinstance(value, Mapping):
        return {name: without_secrets(one) for name, one in value.items() if name not in _SECRETS}
    return value


def require_types(
    document: Mapping[str, Any], allowed: Mapping[tuple[str, ...], type | tuple[type, ...]]
) -> None:
    """Check the types of what the platform reads, as far as it is there; raises CloudError 400."""
    for path, kinds in allowed.items():
        found = table(document, *path[:-1]).get(path[-1])
        right = isinstance(found, kinds) and not (isinstance(found, bool) and kinds is int)
        if found is not None and not right:
            raise invalid(f"The value of parameter '{'.'.join(path)}' is invalid.", target=path[-1])


def require_location(document: Mapping[str, Any]) -> str:
    """Return the location of `document` as Azure writes it ("eastus"); raises CloudError 400 for none."""
    location = document.get("location")
    if not isinstance(location, str) or not location.strip():
        raise refusal("LocationRequired")
    short = location.replace(" ", "").lower()
    if not short.isalnum() or not short.isascii():
        raise refusal("LocationNotAvailableForResourceType", location=location)
    return short


def invalid(message: str, *, target: str | None = None) -> CloudError:
    """Return the 400 of a request whose content is wrong."""
    return CloudError(400, "InvalidParameter" if target else "InvalidRequestContent", message)


FILTER_MAX = 2048
_CONDITION = re.compile(
    r"\s*(?:(?P<name>[A-Za-z][\w./]*)\s+(?P<operator>eq|ge|le)\s+(?:'(?P<quoted>(?:[^']|'')*)'|(?P<bare>[^\s']+))"
    r"|(?P<function>[A-Za-z]+)\(\s*(?:'(?P<argument>(?:[^']|'')*)')?\s*\))\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"and\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition: `name operator 'value'`, or a function with at most one argument.

    Attributes:
        name: of the property or function, lower case.
        operator: "eq", "ge", "le", or "()" for a function.
        value: without quotes; "" where a function has none.
    """

    name: str
    operator: str
    value: str


def parse_filter(text: str | None, *, known: frozenset[str]) -> tuple[Condition, ...]:
    """Return the conditions of a `$filter`, all of which must hold; there are none without a filter.

    Raises:
        CloudError: 400; it can't be parsed, or has other names than `known`, which are in lower case, and
            end in "()" if they are functions.
    """
    rest = (text or "").strip()
    if len(rest) > FILTER_MAX:
        raise invalid_filter(rest[:40], "it is too long")
    found: list[Condition] = []
    while rest:
        condition, rest = _read_condition(rest)
        shown = condition.name + ("()" if condition.operator == "()" else "")
        if shown not in known:
            raise invalid_filter(shown, f"allowed here: {', '.join(sorted(known))}")
        found.append(condition)
    return tuple(found)


def find_value(conditions: tuple[Condition, ...], name: str, operator: str = "eq") -> str | None:
    """Return the value that the first condition on `name` (lower case) compares with, or None."""
    return next((one.value for one in conditions if (one.name, one.operator) == (name, operator)), None)


def parse_instant(text: str) -> datetime:
    """Return an ISO 8601 time of a filter, UTC without a zone; raises CloudError 400 if it is none."""
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid_filter(text[:40], "it is not a time") from None


def invalid_filter(what: str, why: str) -> CloudError:
    """Return the 400 of a filter that can't be used."""
    return refusal("InvalidFilterInQueryString", what=what, why=why)


def _read_condition(rest: str) -> tuple[Condition, str]:
    match = _CONDITION.match(rest)
    if match is None:
        raise invalid_filter(
            rest[:40], "a condition is `name eq 'value'`, `name ge value` or `function('value')`"
        )
    tail = rest[match.end() :]
    if tail:
        joint = _AND.match(tail)
        if joint is None or not tail[joint.end() :].strip():
            raise invalid_filter(tail[:40], "conditions are joined by `and`")
        tail = tail[joint.end() :]
    if match["function"] is not None:
        condition = Condition(
            name=match["function"].lower(), operator="()", value=_unquote(match["argument"])
        )
    else:
        value = match["bare"] if match["quoted"] is None else _unquote(match["quoted"])
        condition = Condition(name=match["name"].lower(), operator=match["operator"].lower(), value=value)
    return condition, tail


def _unquote(text: str | None) -> str:
    return (text or "").replace("''", "'")
