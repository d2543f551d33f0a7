"""Who is in a tenant: what sign-in asks of the records; pure."""

from __future__ import annotations

import re

from emulator.cloud.cloud import Cloud
from emulator.cloud.endpoints import ADFS
from emulator.cloud.records import Principal, PrincipalType, Subscription
from emulator.errors import CloudError

ANY_TENANT = frozenset({"common", "organizations", ADFS})
"""Authorities that stand for whichever tenant the principal is of."""
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def known_tenants(cloud: Cloud) -> list[str]:
    """Return the tenants that have a principal or a subscription, each once, in a stable order."""
    found = [one.tenant for one in cloud.all(Subscription)] + [one.tenant for one in cloud.all(Principal)]
    return list(dict.fromkeys(tenant.lower() for tenant in found))


def require_tenant(cloud: Cloud, authority: str) -> str | None:
    """Return the tenant that an authority names, None where it names no certain one.

    Raises:
        CloudError: 400 invalid_tenant, AADSTS90002 as Entra says.
    """
    name = authority.lower()
    if name in ANY_TENANT:
        return None
    if name not in known_tenants(cloud):
        raise CloudError(
            400,
            "invalid_tenant",
            f"AADSTS90002: Tenant '{authority[:64]}' not found. Check to make sure you have the correct"
            " tenant ID and are signing into the correct cloud.",
        )
    return name


def find_application(cloud: Cloud, client_id: str, *, tenant: str | None) -> Principal | None:
    """Return the service principal with that client id, in `tenant` or anywhere, or None."""
    return next(
        (
            one
            for one in cloud.all(Principal)
            if one.type is PrincipalType.SERVICE_PRINCIPAL
            and client_id.lower() == (one.app_id or one.name).lower()
            and tenant in {None, one.tenant.lower()}
        ),
        None,
    )


def find_user(cloud: Cloud, name: str, *, tenant: str | None) -> Principal | None:
    """Return the user called `name`, in `tenant` or anywhere, or None."""
    return next(
        (
            one
            for one in cloud.all(Principal)
            if one.type is PrincipalType.USER
            and one.name.lower() == name.lower()
            and tenant in {None, one.tenant.lower()}
        ),
        None,
    )


def find_managed_identity(cloud: Cloud, wanted: str | None) -> Principal | None:
    """Return the managed identity with client or object id `wanted`, or the first one, or None.

    A managed identity is a service principal without a secret.
    """
    for one in cloud.all(Principal):
        if one.type is PrincipalType.SERVICE_PRINCIPAL and one.secret is None:
            names = {one.id.lower(), one.name.lower(), (one.app_id or one.name).lower()}
            if wanted is None or wanted.lower() in names:
                return one
    return None


def is_client_id(cloud: Cloud, client_id: str) -> bool:
    """Tell whether `client_id` can be a program's that signs users in: a GUID, or one of ours."""
    return bool(GUID.fullmatch(client_id)) or find_application(cloud, client_id, tenant=None) is not None
