"""What clients ask before they sign in: metadata, OpenID configuration, keys, discovery.

See docs/facts/azure.md 5.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from emulator.cloud.directory import (
    ADFS,
    instance_discovery,
    metadata,
    openid_configuration,
    require_tenant,
    user_realm,
)
from emulator.errors import CloudError
from emulator.service.core.context import Service, ServiceOf
from emulator.service.identity.entra import entra_router

router = entra_router()


@router.get("/metadata/endpoints")
async def show_metadata(service: ServiceOf) -> dict[str, Any]:
    """Return the endpoints of this cloud; needs no token, and any api-version has the shape of 2022-09-01."""
    return metadata(service.endpoint, service.settings)


@router.get("/{tenant}/v2.0/.well-known/openid-configuration")
async def show_configuration(service: ServiceOf, tenant: str) -> dict[str, Any]:
    """Return the OpenID configuration of a tenant, version 2."""
    return _configuration(service, tenant, tenant, second=True)


@router.get("/{tenant}/.well-known/openid-configuration")
async def show_first_configuration(service: ServiceOf, tenant: str) -> dict[str, Any]:
    """Return the OpenID configuration of a tenant, version 1; of AD FS it is the only one."""
    return _configuration(service, tenant, tenant, second=tenant.lower() == ADFS)


@router.get("/adfs/{tenant}/v2.0/.well-known/openid-configuration")
@router.get("/adfs/{tenant}/.well-known/openid-configuration")
async def show_adfs_configuration(service: ServiceOf, tenant: str) -> dict[str, Any]:
    """Return the OpenID configuration of a tenant under AD FS."""
    return _configuration(service, f"{ADFS}/{tenant}", tenant, second=True)


@router.get("/{tenant}/discovery/v2.0/keys")
@router.get("/{tenant}/discovery/keys")
@router.get("/adfs/{tenant}/discovery/v2.0/keys")
async def show_keys(service: ServiceOf, tenant: str) -> dict[str, Any]:
    """Return the public keys that tokens are signed with."""
    require_tenant(service.cloud, tenant)
    return {"keys": [service.tokens.key.jwk()]}


@router.get("/common/discovery/instance")
async def discover_instance(service: ServiceOf, authorization_endpoint: str = "") -> dict[str, Any]:
    """Tell whether an authority is known: our own host is, no other."""
    asked, own = urlsplit(f"//{authorization_endpoint.partition('://')[2]}"), urlsplit(service.endpoint)
    if asked.netloc.lower() not in {own.netloc.lower(), (own.hostname or "").lower()}:
        raise CloudError(400, "invalid_instance", "AADSTS50049: Unknown or invalid instance.")
    tenant = asked.path.strip("/").split("/")[0] or "common"
    require_tenant(service.cloud, tenant)
    return instance_discovery(service.endpoint, tenant=tenant)


@router.get("/common/userrealm/{user}")
@router.get("/adfs/common/userrealm/{user}")
async def show_user_realm(service: ServiceOf, user: str) -> dict[str, Any]:
    """Return where a user's password is checked: here."""
    return user_realm(service.endpoint, user[:256])


def _configuration(service: Service, authority: str, tenant: str, *, second: bool) -> dict[str, Any]:
    certain = require_tenant(service.cloud, tenant)
    return openid_configuration(
        service.endpoint, authority=authority.lower(), tenant=certain or "{tenantid}", second=second
    )
