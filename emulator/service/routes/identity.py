"""What clients ask before they sign in: metadata, OpenID configuration, keys, discovery.

And tokens of managed identities: `managed` answers as IDENTITY_ENDPOINT of App Service does.

See docs/facts/azure.md 5.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from emulator.cloud.compute import Json
from emulator.cloud.directory import (
    ADFS,
    find_managed_identity,
    instance_discovery,
    metadata,
    openid_configuration,
    require_resource,
    require_tenant,
    user_realm,
)
from emulator.cloud.refusals import refusal
from emulator.service.core.context import Service, ServiceOf, arm_router
from emulator.service.core.entra import NO_STORE, entra_router
from emulator.service.parts.sign_in import matches

router = entra_router()


@router.get("/metadata/endpoints")
async def show_metadata(service: ServiceOf) -> Json:
    """Return the endpoints of this cloud, without a token; all api-versions get the form of 2022-09-01."""
    return metadata(service.endpoint, service.settings)


@router.get("/{tenant}/v2.0/.well-known/openid-configuration")
async def show_configuration(service: ServiceOf, tenant: str) -> Json:
    """Return the OpenID configuration of a tenant, version 2."""
    return _configuration(service, tenant, tenant, second=True)


@router.get("/{tenant}/.well-known/openid-configuration")
async def show_first_configuration(service: ServiceOf, tenant: str) -> Json:
    """Return the OpenID configuration of a tenant, version 1; AD FS has no other."""
    return _configuration(service, tenant, tenant, second=tenant.lower() == ADFS)


@router.get("/adfs/{tenant}/v2.0/.well-known/openid-configuration")
@router.get("/adfs/{tenant}/.well-known/openid-configuration")
async def show_adfs_configuration(service: ServiceOf, tenant: str) -> Json:
    """Return the OpenID configuration of a tenant under AD FS."""
    return _configuration(service, f"{ADFS}/{tenant}", tenant, second=True)


@router.get("/{tenant}/discovery/v2.0/keys")
@router.get("/{tenant}/discovery/keys")
@router.get("/adfs/{tenant}/discovery/v2.0/keys")
async def show_keys(service: ServiceOf, tenant: str) -> Json:
    """Return the public keys that tokens are signed with."""
    require_tenant(service.cloud, tenant)
    return {"keys": [service.tokens.key.jwk()]}


@router.get("/common/discovery/instance")
async def discover_instance(service: ServiceOf, authorization_endpoint: str = "") -> Json:
    """Tell whether an authority is known; only our own host is."""
    asked, own = urlsplit(f"//{authorization_endpoint.partition('://')[2]}"), urlsplit(service.endpoint)
    if asked.netloc.lower() not in {own.netloc.lower(), (own.hostname or "").lower()}:
        raise refusal("invalid_instance")
    tenant = asked.path.strip("/").split("/")[0] or "common"
    require_tenant(service.cloud, tenant)
    return instance_discovery(service.endpoint, tenant=tenant)


@router.get("/common/userrealm/{user}")
@router.get("/adfs/common/userrealm/{user}")
async def show_user_realm(service: ServiceOf, user: str) -> Json:
    """Say where a user's password is checked: here."""
    return user_realm(service.endpoint, user[:256])


def _configuration(service: Service, authority: str, tenant: str, *, second: bool) -> Json:
    certain = require_tenant(service.cloud, tenant)
    return openid_configuration(
        service.endpoint, authority=authority.lower(), tenant=certain or "{tenantid}", second=second
    )


MANAGED_PATH = "/ttylab/identity/token"
managed: APIRouter = arm_router()


@managed.get(MANAGED_PATH, tags=["sign-in"])
async def issue_identity_token(
    request: Request,
    service: ServiceOf,
    resource: str = "",
    client_id: str | None = None,
    principal_id: str | None = None,
    object_id: str | None = None,
) -> JSONResponse:
    """Return a token of a managed identity to a client that knows the service's IDENTITY_HEADER."""
    offered = request.headers.get("x-identity-header", "")
    if not matches(service.sign_in.identity_header, offered):
        await service.sign_in.throttle.fail("identity-header")
        raise refusal("Unauthorized")
    found = find_managed_identity(service.cloud, client_id or principal_id or object_id)
    if found is None:
        raise refusal("invalid_request.identity")
    audience, issued = require_resource(resource), service.now()
    lifetime, client = int(service.settings.token_s), found.client_id
    token = service.tokens.issue(found, audience=audience, now=issued, lifetime_s=lifetime, client=client)
    body: Json = {
        "access_token": token,
        "expires_on": str(int(issued.timestamp()) + lifetime),
        "resource": resource,
        "token_type": "Bearer",
        "client_id": client,
    }
    return JSONResponse(body, headers=NO_STORE)
