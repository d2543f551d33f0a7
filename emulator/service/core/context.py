"""What every route works with: the parts of the running service, and how paths and bodies are matched."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, TypeAlias, cast

from fastapi import APIRouter, Body, Depends, Query
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import Scope

from emulator.cloud.documents import require_storable
from emulator.cloud.records import Cloud
from emulator.cloud.refusals import refusal
from emulator.cloud.settings import Settings
from emulator.fleet.machine_fleet import MachineFleet
from emulator.service.parts.links import Links
from emulator.service.parts.metrics import Metrics
from emulator.service.parts.operations import Operations
from emulator.service.parts.saving import Saving
from emulator.service.parts.sessions import Faults, Sessions
from emulator.service.parts.sign_in import SignIn
from emulator.service.parts.tokens import BlobSigner, TokenDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts of one running service; its loop owns them all.

    Attributes:
        endpoint: "https://HOST:PORT", without a slash at its end.
        cloud: the records.
        settings: its settings.
        fleet: the guests.
        tokens: issues and accepts access tokens.
        operations: work that outlasts its request.
        sessions: connection strings and the links opened on them.
        links: the open WebSockets.
        faults: the injected faults.
        blobs: signs the URLs of boot diagnostics.
        now: returns the current time, UTC.
        sign_in: the state of sign-in between requests.
        metrics: the counters.
        troubles: returns the reasons why state can't be saved; empty while it can.
        saving: tells when changes are saved.
        ca_pem: certificate of the authority that signed the endpoint's certificate.
    """

    endpoint: str
    cloud: Cloud
    settings: Settings
    fleet: MachineFleet
    tokens: TokenDesk
    operations: Operations
    sessions: Sessions
    blobs: BlobSigner
    now: Callable[[], datetime]
    sign_in: SignIn = field(default_factory=SignIn)
    faults: Faults
    links: Links = field(default_factory=Links)
    metrics: Metrics = field(default_factory=Metrics)
    troubles: Callable[[], list[str]] = list
    saving: Saving = field(default_factory=Saving)
    ca_pem: bytes = b""


def service_of(connection: HTTPConnection) -> Service:
    """Return the service that a request or WebSocket belongs to."""
    return cast("Service", connection.app.state.service)


ServiceOf = Annotated[Service, Depends(service_of)]


API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?", re.IGNORECASE)


class CaseBlindRoute(APIRoute):
    """A route whose fixed words match in any case: clients rely on it (docs/facts/azure.md 2)."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._expression = re.compile(self.path_regex.pattern, re.IGNORECASE)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the route answers a request, as FastAPI 0.165 does with its own expression."""
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


def require_api_version(api_version: Annotated[str | None, Query(alias="api-version")] = None) -> str:
    """Return a request's api-version, any well-formed one; raises CloudError 400 without one."""
    if not api_version:
        raise refusal("MissingApiVersionParameter")
    if not API_VERSION.fullmatch(api_version):
        raise refusal("InvalidApiVersionParameter", api_version=api_version)
    return api_version


def arm_router() -> APIRouter:
    """Return a router for Resource Manager's routes."""
    return APIRouter(route_class=CaseBlindRoute, dependencies=[Depends(require_api_version)])


def read_body(body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Return a request's JSON object, once it is known that answers can repeat it."""
    require_storable(body)
    return body


BodyOf: TypeAlias = Annotated[dict[str, Any], Depends(read_body)]
