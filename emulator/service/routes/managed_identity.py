"""Tokens of a managed identity: what IDENTITY_ENDPOINT of App Service answers (docs/facts/azure.md 5)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from emulator.cloud.directory import find_managed_identity, require_resource
from emulator.errors import CloudError
from emulator.service.core.context import ServiceOf
from emulator.service.core.routing import arm_router
from emulator.service.identity.entra import NO_STORE
from emulator.service.parts.sign_in import matches

PATH = "/ttylab/identity/token"
router: APIRouter = arm_router()


@router.get(PATH, tags=["sign-in"])
async def issue_identity_token(
    request: Request,
    service: ServiceOf,
    resource: str = "",
    client_id: str | None = None,
    principal_id: str | None = None,
    object_id: str | None = None,
) -> JSONResponse:
    """Return a token of a managed identity to whoever knows the service's IDENTITY_HEADER."""
    offered = request.headers.get("x-identity-header", "")
    if not matches(service.sign_in.identity_header, offered):
        await service.sign_in.throttle.fail("identity-header")
        raise CloudError(401, "Unauthorized", "The header X-IDENTITY-HEADER is missing or wrong.")
    found = find_managed_identity(service.cloud, client_id or principal_id or object_id)
    if found is None:
        raise CloudError(
            400, "invalid_request", "Identity not found: this cloud has no such managed identity."
        )
    audience, issued = require_resource(resource), service.now()
    lifetime, client = int(service.settings.token_s), found.client_id
    token = service.tokens.issue(found, audience=audience, now=issued, lifetime_s=lifetime, client=client)
    body: dict[str, Any] = {
        "access_token": token,
        "expires_on": str(int(issued.timestamp()) + lifetime),
        "resource": resource,
        "token_type": "Bearer",
        "client_id": client,
    }
    return JSONResponse(body, headers=NO_STORE)
