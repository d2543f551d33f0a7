"""What a client needs to use a running service, as values and as JSON; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from emulator.cloud.records import Principal, PrincipalType, Record, Subscription
from emulator.errors import SpecError

IDENTITY_PATH = "/ttylab/identity/token"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccess:
    """Where a service is and who can sign in; for development only.

    Attributes:
        endpoint: "https://HOST:PORT".
        ca: file with the certificate to trust, absolute.
        tenant: GUID of the first subscription's tenant.
        subscription: GUID of the first subscription.
        credentials: by name: `client_id` and `client_secret`, or `username` and `password`, or
            `identity_endpoint` and `identity_header`.
    """

    endpoint: str
    ca: Path
    tenant: str
    subscription: str
    credentials: Mapping[str, Mapping[str, str]] = field(repr=False)

    def to_json(self) -> str:
        """Return the content of a ready file."""
        return json.dumps(asdict(self), indent=1, default=str) + "\n"


def access_to(
    records: Iterable[Record], *, endpoint: str, ca: Path, identity_header: str | None = None
) -> ServiceAccess:
    """Return how to use a service at `endpoint` with these records.

    `identity_header` is the secret that clients of its managed identities send, if it is known in advance.
    Raises SpecError if there is no subscription.
    """
    known = list(records)
    first = next((one for one in known if isinstance(one, Subscription)), None)
    if first is None:
        raise SpecError("the cloud has no subscription")
    identities = {
        one.name: _identity(one, endpoint=endpoint, header=identity_header)
        for one in known
        if isinstance(one, Principal) and not one.secret and identity_header
    }
    people = [one for one in known if isinstance(one, Principal) and one.secret]
    return ServiceAccess(
        endpoint=endpoint,
        ca=ca,
        tenant=first.tenant,
        subscription=first.id,
        credentials={one.name: _credential(one) for one in people} | identities,
    )


def _identity(principal: Principal, *, endpoint: str, header: str) -> dict[str, str]:
    """Return what a managed identity signs in with: IDENTITY_ENDPOINT and IDENTITY_HEADER."""
    return {
        "identity_endpoint": f"{endpoint}{IDENTITY_PATH}",
        "identity_header": header,
        "tenant": principal.tenant,
        "object_id": principal.id,
    }


def _credential(principal: Principal) -> dict[str, str]:
    """Return what `principal` signs in with; clients call its `app_id` a client id."""
    secret = principal.secret or ""
    common = {"tenant": principal.tenant, "object_id": principal.id}
    if principal.type is PrincipalType.USER:
        return {"username": principal.name, "password": secret, **common}
    return {"client_id": principal.client_id, "client_secret": secret, **common}
