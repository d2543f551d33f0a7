"""What every route works with: the parts of one running service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from emulator.cloud.cloud import Cloud
from emulator.cloud.settings import Settings
from emulator.service.activity import ActivityLog
from emulator.service.blobs import BlobSigner
from emulator.service.fleet import Fleet
from emulator.service.operations import Operations
from emulator.service.sessions import Sessions
from emulator.service.tokens import TokenDesk


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
        blobs: signs the URLs of boot diagnostics.
        activity: the activity log.
        now: returns the present, UTC.
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


def service_of(connection: HTTPConnection) -> Service:
    """Return the service that a request or WebSocket came to."""
    return cast("Service", connection.app.state.service)


ServiceOf = Annotated[Service, Depends(service_of)]
