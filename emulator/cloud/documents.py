"""The documents that clients put: read without trust, merged, cleared of what is not theirs; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from emulator.errors import CloudError

DEPTH_MAX = 32
_ENVELOPE = frozenset({"id", "name", "type", "etag", "systemData"})
_COMPUTED = frozenset({"provisioningState", "vmId", "instanceView", "timeCreated", "uniqueId"})
_SECRETS = frozenset({"adminPassword", "customData"})


def table(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the object at `path`, empty where there is none."""
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def require_storable(body: Any, *, depth: int = 0) -> None:
    """Check that `body`, read as JSON, can be written as JSON again.

    Raises:
        CloudError: 400; it is too deep, or has NaN, an infinity, or half a surrogate pair in it.
    """
    if depth > DEPTH_MAX:
        raise invalid(f"The request is nested more than {DEPTH_MAX} levels deep.")
    if isinstance(body, float) and not math.isfinite(body):
        raise invalid("The request has a number in it that is not finite.")
    if isinstance(body, str) and any("\ud800" <= character <= "\udfff" for character in body):
        raise invalid("The request has text in it that is not Unicode.")
    children: list[Any] = []
    if isinstance(body, Mapping):
        children = [*body.keys(), *body.values()]
    elif isinstance(body, list):
        children = body
    for child in children:
        require_storable(child, depth=depth + 1)


def merge(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with `patch` merged in as RFC 7396 says: null takes away."""
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
    """Return what of `body` is the client's to say: no ids, no states, no passwords, no nulls."""
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
    """Return `value` without passwords, which Azure takes and never shows."""
    if isinstance(value, Mapping):
        return {name: without_secrets(one) for name, one in value.items() if name not in _SECRETS}
    return value


def require_types(
    document: Mapping[str, Any], allowed: Mapping[tuple[str, ...], type | tuple[type, ...]]
) -> None:
    """Check the values that the platform reads, where they are there.

    Raises:
        CloudError: 400 InvalidParameter, which names the value.
    """
    for path, kinds in allowed.items():
        found: Any = document
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        right = isinstance(found, kinds) and not (isinstance(found, bool) and kinds is int)
        if found is not None and not right:
            raise invalid(f"The value of parameter '{'.'.join(path)}' is invalid.", target=path[-1])


def require_location(document: Mapping[str, Any]) -> str:
    """Return the location of `document` as Azure writes it ("East US" is "eastus").

    Raises:
        CloudError: 400; there is none.
    """
    location = document.get("location")
    if not isinstance(location, str) or not location.strip():
        raise CloudError(400, "LocationRequired", "The location property is required for this definition.")
    short = location.replace(" ", "").lower()
    if not short.isalnum() or not short.isascii():
        raise CloudError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{location[:40]}' is not available.",
        )
    return short


def invalid(message: str, *, target: str | None = None) -> CloudError:
    """Return the 400 of a request whose content is wrong."""
    return CloudError(400, "InvalidParameter" if target else "InvalidRequestContent", message)
