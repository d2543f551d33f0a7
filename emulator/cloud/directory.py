"""Sign-in: what the service says about itself before it, who is in a tenant, what a token may be for; pure.

Shapes: docs/facts/azure.md 5; the names are those that azure-cli and Terraform's azurerm read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from emulator.cloud.records import Cloud, Principal, PrincipalType, Subscription
from emulator.cloud.refusals import refusal
from emulator.cloud.settings import Settings, azure_document

ADFS = "adfs"
ARM_RESOURCES = ("https://management.core.windows.net/", "https://management.azure.com/")
GRAPH_RESOURCE = "https://graph.microsoft.com"


def metadata(endpoint: str, settings: Settings) -> dict[str, Any]:
    """Return the body of `/metadata/endpoints`; every address in it is our own.

    The login endpoint ends in "/adfs": only then MSAL asks no other host about it (docs/facts/azure.md 5).
    """
    return azure_document(
        "metadata",
        name=settings.cloud.name,
        endpoint=endpoint,
        login=f"{endpoint}/{ADFS}",
        audiences=[endpoint, *ARM_RESOURCES],
        suffix=settings.cloud.storage_suffix,
    )


def openid_configuration(endpoint: str, *, authority: str, tenant: str, second: bool) -> dict[str, Any]:
    """Return the OpenID configuration of an authority, the tenant, "adfs" or "adfs/TENANT" in its path.

    `tenant` is the issuer's; Entra writes "{tenantid}" if it is not fixed. `second` asks for version 2.0.
    """
    return azure_document(
        "openid",
        issuer=f"{endpoint}/{tenant}/v2.0" if second else f"{endpoint}/{tenant}/",
        base=f"{endpoint}/{authority}",
        version="oauth2/v2.0" if second else "oauth2",
        host=endpoint.partition("://")[2],
        nowhere=None,
    )


def instance_discovery(endpoint: str, *, tenant: str) -> dict[str, Any]:
    """Return the answer to an instance discovery about our own host."""
    host = endpoint.partition("://")[2]
    return azure_document("instance_discovery", endpoint=endpoint, tenant=tenant, host=host)


def user_realm(endpoint: str, user: str) -> dict[str, Any]:
    """Return the realm of a user: passwords are checked here, not by a federation."""
    return azure_document("user_realm", domain=user.rpartition("@")[2], host=endpoint.partition("://")[2])


ANY_TENANT = frozenset({"common", "organizations", ADFS})
"""Authorities that stand for the principal's own tenant."""
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def known_tenants(cloud: Cloud) -> list[str]:
    """Return the tenants that have a principal or a subscription, each once, in a stable order."""
    owned: tuple[Subscription | Principal, ...] = (*cloud.all(Subscription), *cloud.all(Principal))
    return list(dict.fromkeys(one.tenant.lower() for one in owned))


def require_tenant(cloud: Cloud, authority: str) -> str | None:
    """Return the tenant that an authority names, or None if it stands for any tenant.

    Raises:
        CloudError: 400 invalid_tenant with AADSTS90002, like Entra.
    """
    name = authority.lower()
    if name in ANY_TENANT:
        return None
    if name not in known_tenants(cloud):
        raise refusal("invalid_tenant", authority=authority)
    return name


def find_application(cloud: Cloud, client_id: str, *, tenant: str | None) -> Principal | None:
    """Return the service principal with that client id, in `tenant` or anywhere, or None."""
    found = _principals(cloud, PrincipalType.SERVICE_PRINCIPAL, tenant)
    return next((one for one in found if one.client_id.lower() == client_id.lower()), None)


def find_user(cloud: Cloud, name: str, *, tenant: str | None) -> Principal | None:
    """Return the user called `name`, in `tenant` or anywhere, or None."""
    found = _principals(cloud, PrincipalType.USER, tenant)
    return next((one for one in found if one.name.lower() == name.lower()), None)


def find_managed_identity(cloud: Cloud, wanted: str | None) -> Principal | None:
    """Return the managed identity with client or object id `wanted`, or the first one, or None.

    A managed identity is a service principal without a secret.
    """
    for one in _principals(cloud, PrincipalType.SERVICE_PRINCIPAL, None):
        names = {one.id.lower(), one.name.lower(), one.client_id.lower()}
        if one.secret is None and (wanted is None or wanted.lower() in names):
            return one
    return None


def _principals(cloud: Cloud, kind: PrincipalType, tenant: str | None) -> list[Principal]:
    every = cloud.all(Principal)
    return [one for one in every if one.type is kind and tenant in {None, one.tenant.lower()}]


def is_client_id(cloud: Cloud, client_id: str) -> bool:
    """Tell whether `client_id` can belong to a program that signs users in: a GUID, or one of ours."""
    return bool(GUID.fullmatch(client_id)) or find_application(cloud, client_id, tenant=None) is not None


_CONDITION = re.compile(
    r"(?:(?P<field>userPrincipalName|appId|displayName|id)\s+eq\s+|startswith\((?P<prefix>displayName),\s*"
    r"|servicePrincipalNames/any\(\s*\w+\s*:\s*\w+\s+eq\s+)'(?P<value>(?:[^']|'')*)'\)?",
    re.IGNORECASE,
)
FILTER_MAX = 2048


def render_principal(principal: Principal, *, typed: bool = False) -> dict[str, Any]:
    """Return a user or service principal; `typed` adds "@odata.type", as lists of mixed objects need."""
    user = principal.type is PrincipalType.USER
    kind = {"@odata.type": f"#microsoft.graph.{'user' if user else 'servicePrincipal'}"} if typed else {}
    facts = {"id": principal.id, "name": principal.name}
    if user:
        return kind | azure_document("user", nothing=None, **facts)
    of = "ManagedIdentity" if principal.secret is None else "Application"
    client, tenant = principal.client_id, principal.tenant
    return kind | azure_document("service_principal", client=client, tenant=tenant, type=of, **facts)


def matching(principals: Iterable[Principal], filter_text: str | None) -> list[Principal]:
    """Return the principals that match a `$filter` as az sends it; raises CloudError 400 for others."""
    chosen = list(principals)
    for condition in re.split(r"\s+and\s+", filter_text[:FILTER_MAX]) if filter_text else ():
        match = _CONDITION.fullmatch(condition.strip())
        if match is None:
            raise refusal("Request_UnsupportedQuery", condition=condition)
        chosen = [one for one in chosen if _matches(one, match)]
    return chosen


def _matches(principal: Principal, match: re.Match[str]) -> bool:
    wanted = match["value"].replace("''", "'").lower()
    if match["prefix"]:
        return principal.name.lower().startswith(wanted)
    if match["field"] and match["field"].lower() == "id":
        return principal.id.lower() == wanted
    if match["field"] and match["field"].lower() in {"userprincipalname", "displayname"}:
        return principal.name.lower() == wanted
    return principal.client_id.lower() == wanted


OPENID_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})
_DEFAULT = "/.default"
_URI = re.compile(r"(https|api)://[A-Za-z0-9._:/\[\]-]{1,400}")


def resource_of_client_scope(scope: str) -> str:
    """Return the resource of a client-credentials scope, `RESOURCE/.default`.

    Raises:
        CloudError: AADSTS70011, or AADSTS500011 for something that can't be a resource.
    """
    words = scope.split()
    if len(words) != 1 or not words[0].endswith(_DEFAULT):
        raise refusal("invalid_scope", scope=scope)
    return require_resource(words[0].removesuffix(_DEFAULT))


def resource_of_user_scope(scope: str) -> str:
    """Return the one resource that the scopes of a user's sign-in belong to; Graph if there is none.

    Raises:
        CloudError: as `resource_of_client_scope`; AADSTS70011 for two resources.
    """
    resources = {
        word.removesuffix(_DEFAULT) if word.endswith(_DEFAULT) else word.rpartition("/")[0]
        for word in scope.split()
        if word.lower() not in OPENID_SCOPES
    }
    if not resources:
        return GRAPH_RESOURCE
    if len(resources) > 1 or "" in resources:
        raise refusal("invalid_scope", scope=scope)
    return require_resource(resources.pop())


def require_resource(resource: str) -> str:
    """Return `resource` if a token can be issued for it; else raises CloudError AADSTS500011."""
    if not (_URI.fullmatch(resource) or GUID.fullmatch(resource)):
        raise refusal("invalid_resource", resource=resource)
    return resource
