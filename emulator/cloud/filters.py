"""The little of OData's `$filter` that clients of Resource Manager send: conditions joined by `and`; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from emulator.errors import CloudError

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
    """Return the conditions of a `$filter`; all of them must hold, and none holds always.

    Args:
        text: the query parameter.
        known: names, lower case, that mean something here; a function's ends in "()".

    Raises:
        CloudError: 400; it can't be read, or has other names.
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
    """Return what the first condition on `name` (lower case) compares it with, or None."""
    return next((one.value for one in conditions if (one.name, one.operator) == (name, operator)), None)


def parse_instant(text: str) -> datetime:
    """Return an ISO 8601 time of a filter; one without zone is UTC.

    Raises:
        CloudError: 400; it is none.
    """
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid_filter(text[:40], "it is no time") from None


def invalid_filter(what: str, why: str) -> CloudError:
    """Return the 400 of a filter that can't be used."""
    return CloudError(
        400, "InvalidFilterInQueryString", f"Invalid $filter '{what}' in the query string: {why}."
    )


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
