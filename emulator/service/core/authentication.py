"""Who calls and whether they may: checked first by every route of Resource Manager."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from emulator.cloud.records import Principal, ResourceGroup, Subscription
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import group_scope, subscription_scope
from emulator.cloud.roles import is_allowed, sees_subscription
from emulator.service.core.context import Service, ServiceOf
from emulator.service.https.admission import vouch
from emulator.service.parts.tokens import Claims


def bearer_of(request: Request) -> str:
    """Return the token of the Authorization header; raises CloudError 401 if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise refusal("AuthenticationFailed")
    if scheme.lower() != "bearer" or not token.strip():
        raise refusal("AuthenticationFailedInvalidHeader")
    return token.strip()


def address_of(request: Request) -> str:
    """Return the caller's IP address."""
    return request.client.host if request.client is not None else ""


def accept_token(service: Service, token: str) -> Claims:
    """Return the claims of `token`, if its principal still exists; else raises CloudError 401."""
    claims = service.tokens.accept(token, now=service.now())
    principal = service.cloud.find(Principal, claims.principal)
    if principal is None or principal.tenant.lower() != claims.tenant.lower():
        raise refusal("InvalidAuthenticationToken.principal")
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
        raise refusal("SubscriptionNotFound", subscription=subscription)
    if found.tenant.lower() != caller.tenant.lower():
        raise refusal("InvalidAuthenticationTokenTenant")
    return found


def authorize(service: Service, caller: Claims, action: str, *, scope: str) -> None:
    """Check that `caller` may do `action` at `scope`, which is in a subscription.

    Raises:
        CloudError: 404, 401 or 403 AuthorizationFailed, in the words of Resource Manager.
    """
    require_subscription(service, caller, scope.strip("/").split("/")[1])
    if not is_allowed(service.cloud, caller.principal, action=action, scope=scope):
        raise refusal(
            "AuthorizationFailed", caller=caller.name, principal=caller.principal, action=action, scope=scope
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
        raise refusal("ResourceGroupNotFound", group=group)
    return found
