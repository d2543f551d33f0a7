"""Scopes as they stand in paths: checked, and written as Resource Manager writes them."""

from __future__ import annotations

from emulator.cloud.records import ResourceGroup
from emulator.cloud.resource_id import group_scope, parse_resource_id, subscription_scope
from emulator.errors import CloudError, SpecError
from emulator.service.context import Service
from emulator.service.identity.authentication import authorize, require_subscription
from emulator.service.identity.tokens import Claims

TENANT_SCOPE = ""
_SCOPE_MAX = 1024


def read_scope(text: str) -> str:
    """Return a scope in its canonical form, "" for the tenant.

    Raises:
        CloudError: 400; it is none.
    """
    words = [word for word in text.strip("/").split("/") if word]
    fixed = [word.lower() for word in words[0:4:2]]
    if not words:
        return TENANT_SCOPE
    if len(text) <= _SCOPE_MAX and fixed == ["subscriptions"] and len(words) == 2:
        return subscription_scope(words[1])
    if len(text) <= _SCOPE_MAX and fixed == ["subscriptions", "resourcegroups"] and len(words) == 4:
        return group_scope(words[1], words[3])
    try:
        return str(parse_resource_id("/".join(words)[:_SCOPE_MAX]))
    except SpecError:
        raise CloudError(400, "InvalidScope", f"The scope '{text[:200]}' is not valid.") from None


def authorize_at(service: Service, caller: Claims, action: str, *, scope: str) -> None:
    """Check that `caller` may do `action` at a canonical scope; at the tenant everybody may read.

    Raises:
        CloudError: 401, 403 or 404.
    """
    if scope != TENANT_SCOPE:
        authorize(service, caller, action, scope=scope)
    elif not action.lower().endswith("/read"):
        raise CloudError(
            403, "AuthorizationFailed", f"Nobody is authorized to perform action '{action}' over scope '/'."
        )


def tenant_of(service: Service, caller: Claims, scope: str) -> str:
    """Return the tenant that a canonical scope is in."""
    if scope == TENANT_SCOPE:
        return caller.tenant
    return require_subscription(service, caller, scope.split("/")[2]).tenant


def require_group(service: Service, subscription: str, group: str) -> ResourceGroup:
    """Return a resource group.

    Raises:
        CloudError: 404.
    """
    found = service.cloud.find(ResourceGroup, group_scope(subscription, group))
    if found is None:
        raise CloudError(404, "ResourceGroupNotFound", f"Resource group '{group[:90]}' could not be found.")
    return found
