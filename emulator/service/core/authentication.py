"""Who calls and whether they may: checked first by every route of Resource Manager."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from emulator.cloud.console_access import subscription_not_found, wrong_tenant
from emulator.cloud.records import Principal, ResourceGroup, Subscription
from emulator.cloud.resource_id import group_scope, subscription_scope
from emulator.cloud.roles import is_allowed, sees_subscription
from emulator.errors import CloudError
from emulator.service.core.context import Service, ServiceOf
from emulator.service.https.admission import vouch
from emulator.service.parts.tokens import Claims


def bearer_of(request: Request) -> str:
    """Return the token of the Authorization header; raises CloudError 401 if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise CloudError(
            401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        )
    if scheme.lower() != "bearer" or not token.strip():
        reason = "Authentication failed. The 'Authorization' header is provided in an invalid format."
        raise CloudError(401, "AuthenticationFailedInvalidHeader", reason)
    return token.strip()


def address_of(request: Request) -> str:
    """Return the caller's IP address."""
    return request.client.host if request.client is not None else ""


def accept_token(service: Service, token: str) -> Claims:
    """Return the claims of `token`, if its principal still exists; else raises CloudError 401."""
    claims = service.tokens.accept(token, now=service.now())
    principal = service.cloud.find(Principal, claims.principal)
    if principal is None or principal.tenant.lower() != claims.tenant.lower():
        raise CloudError(401, "InvalidAuthenticationToken", "The access token's principal is not known.")
    return claims


def authenticate(request: Request, service: ServiceOf) -> Claims:
    """Return the caller's claims; no message contains the token."""
    claims = accept_token(service, bearer_of(request))
    vouch(request, claims.principal)
    return claims


Caller = Annotated[Claims, Depends(authenticate)]


def require_subscription(service: Service, caller: Claims, subscription: str) -> Subscription:
    """Return a subscription in the tenant of `caller`; raises CloudError 404, or 401 for another tenant's."""
    found = service.cloud.find(Subscription, subscription)
    if found is None:
        raise subscription_not_found(subscription)
    if found.tenant.lower() != caller.tenant.lower():
        raise wrong_tenant()
    return found


def authorize(service: Service, caller: Claims, action: str, *, scope: str) -> None:
    """Check that `caller` may do `action` at `scope`, which is in a subscription.

    Raises:
        CloudError: 404, 401 or 403 AuthorizationFailed, in the words of Resource Manager.
    """
    require_subscription(service, caller, scope.strip("/").split("/")[1])
    if not is_allowed(service.cloud, caller.principal, action=action, scope=scope):
        raise CloudError(
            403,
            "AuthorizationFailed",
            f"The client '{caller.name}' with object id '{caller.principal}' does not have authorization to"
            f" perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently"
            " granted, please refresh your credentials.",
        )


def authorize_member(service: Service, caller: Claims, subscription: str) -> None:
    """Check that `caller` has any role in or under the subscription; errors are those of `authorize`."""
    require_subscription(service, caller, subscription)
    if not sees_subscription(service.cloud, caller.principal, subscription):
        authorize(
            service, caller, "Microsoft.Resources/subscriptions/read", scope=subscription_scope(subscription)
        )


def require_group(service: Service, subscription: str, group: str) -> ResourceGroup:
    """Return a resource group; raises CloudError 404 if there is none."""
    found = service.cloud.find(ResourceGroup, group_scope(subscription, group))
    if found is None:
        raise CloudError(404, "ResourceGroupNotFound", f"Resource group '{group[:90]}' could not be found.")
    return found
