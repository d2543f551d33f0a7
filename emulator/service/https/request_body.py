"""The JSON object of a request, for routes that need no model of it."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import Body, Depends

from emulator.cloud.documents import require_storable


def read_body(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Return a request's JSON object, once it is known that it can be answered again."""
    require_storable(body)
    return body


BodyOf: TypeAlias = Annotated[dict[str, Any], Depends(read_body)]
