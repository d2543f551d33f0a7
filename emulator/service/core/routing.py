"""Routes of Resource Manager: paths without regard to case, a well-formed api-version, its error bodies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body, Depends, Query
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from emulator.cloud.documents import require_storable
from emulator.errors import CloudError

API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?", re.IGNORECASE)


class CaseBlindRoute(APIRoute):
    """A route whose fixed words match in any case: clients rely on it (docs/facts/azure.md 2)."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._expression = re.compile(self.path_regex.pattern, re.IGNORECASE)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the route answers a request (FastAPI 0.165 has its own expression for each)."""
        match = self._expression.match(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            return Match.NONE, {}
        found = {
            name: self.param_convertors[name].convert(value) for name, value in match.groupdict().items()
        }
        parameters = {**scope.get("path_params", {}), **found}
        allowed = not self.methods or scope["method"] in self.methods
        return Match.FULL if allowed else Match.PARTIAL, {
            "endpoint": self.endpoint,
            "path_params": parameters,
        }


def require_api_version(
    api_version: Annotated[str | None, Query(alias="api-version")] = None,
) -> str:
    """Return the api-version of a request; any well-formed one will do.

    Raises:
        CloudError: 400; it is missing or malformed.
    """
    if not api_version:
        raise CloudError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if not API_VERSION.fullmatch(api_version):
        raise CloudError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{api_version[:40]}' is invalid; it must be YYYY-MM-DD, perhaps with -preview.",
        )
    return api_version


def arm_router() -> APIRouter:
    """Return a router for Resource Manager's routes."""
    return APIRouter(route_class=CaseBlindRoute, dependencies=[Depends(require_api_version)])


def read_body(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Return a request's JSON object, once it is known that it can be answered again."""
    require_storable(body)
    return body


BodyOf: TypeAlias = Annotated[dict[str, Any], Depends(read_body)]
