"""What every route works with: the parts of one running service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from emulator.cloud.records import Cloud
from emulator.cloud.settings import Settings
from emulator.fleet.guest import Fleet
from emulator.service.parts.activity import ActivityLog
from emulator.service.parts.blobs import BlobSigner
from emulator.service.parts.links import Links
from emulator.service.parts.metrics import Metrics
from emulator.service.parts.operations import Operations
from emulator.service.parts.sessions import Faults, Sessions
from emulator.service.parts.sign_in import SignIn
from emulator.service.parts.tokens import TokenDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One running service; its loop owns all of it.

    Attributes:
        endpoint: "https://HOST:PORT", without a slash at its end.
        cloud: the records.
        settings: how it behaves.
        fleet: the guests.
        tokens: issues and accepts access tokens.
        operations: what runs for longer than a request.
        sessions: connection strings and the links opened on them.
        links: the open WebSockets.
        faults: what goes wrong on purpose.
        blobs: signs the URLs of boot diagnostics.
        activity: the activity log.
        now: returns the present, UTC.
        sign_in: what sign-in remembers between requests.
        metrics: what is counted.
        troubles: returns what keeps state from being saved; empty is well.
        ca_pem: certificate of the authority that signed for the endpoint.
    """

    endpoint: str
    cloud: Cloud
    settings: Settings
    fleet: Fleet
    tokens: TokenDesk
    operations: Operations
    sessions: Sessions
    blobs: BlobSigner
    activity: ActivityLog
    now: Callable[[], datetime]
    sign_in: SignIn = field(default_factory=SignIn)
    faults: Faults
    links: Links = field(default_factory=Links)
    metrics: Metrics = field(default_factory=Metrics)
    troubles: Callable[[], list[str]] = list
    ca_pem: bytes = b""


def service_of(connection: HTTPConnection) -> Service:
    """Return the service that a request or WebSocket came to."""
    return cast("Service", connection.app.state.service)


ServiceOf = Annotated[Service, Depends(service_of)]
