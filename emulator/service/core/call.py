"""One call of the service: who calls, whether they may, and how Resource Manager answers it.

See docs/facts/azure.md 4 "LRO" and 8 "Audit".
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse

from emulator.cloud.console_access import resource_not_found
from emulator.cloud.records import (
    ActivityEvent,
    Principal,
    ResourceGroup,
    ScaleSet,
    StorageAccount,
    Subscription,
    VirtualMachine,
)
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId, group_scope, is_within, subscription_scope
from emulator.cloud.roles import is_allowed, sees_subscription
from emulator.service.core.context import Service, ServiceOf
from emulator.service.https.admission import vouch
from emulator.service.parts.operations import Operation
from emulator.service.parts.tokens import Claims

RETRY_AFTER_S = "1"
"""Without it az waits 30 s between polls (docs/facts/azure.md 4)."""
EVENTS_MAX = 10_000
ResourceT = TypeVar("ResourceT", VirtualMachine, ScaleSet, StorageAccount)


def accept_token(service: Service, token: str) -> Claims:
    """Return the claims of `token`, if its principal still exists; else raises CloudError 401."""
    claims = service.tokens.accept(token, now=service.now())
    principal = service.cloud.find(Principal, claims.principal)
    if principal is None or principal.tenant.lower() != claims.tenant.lower():
        raise refusal("InvalidAuthenticationToken.principal")
    return claims


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose caller is known.

    Attributes:
        service: the service that is called.
        caller: who calls.
        address: the caller's IP address.
        api_version: the version that was asked for; the answers are the same in all versions.
    """

    service: Service
    caller: Claims
    address: str
    api_version: str

    def authorize(self, action: str, scope: ResourceId | str) -> None:
        """Check that the caller may do `action` at `scope`, which is in a subscription.

        Raises:
            CloudError: 404, 401 or 403 AuthorizationFailed, in the words of Resource Manager.
        """
        self.require_subscription(str(scope).strip("/").split("/")[1])
        if not self.may(action, scope):
            name, principal = self.caller.name, self.caller.principal
            raise refusal("AuthorizationFailed", caller=name, principal=principal, action=action, scope=scope)

    def require_subscription(self, subscription: str) -> Subscription:
        """Return a subscription of the caller's tenant; raises CloudError 404, or 401 if it is another's."""
        found = self.service.cloud.find(Subscription, subscription)
        if found is None:
            raise refusal("SubscriptionNotFound", subscription=subscription)
        if found.tenant.lower() != self.caller.tenant.lower():
            raise refusal("InvalidAuthenticationTokenTenant")
        return found

    def may(self, action: str, scope: ResourceId | str) -> bool:
        """Tell whether the caller may do `action` at `scope`."""
        return is_allowed(self.service.cloud, self.caller.principal, action=action, scope=str(scope))

    def enter(self, subscription: str, group: str | None = None) -> str:
        """Return the scope of a subscription, or of a group in it, once the caller has any role there.

        Raises:
            CloudError: 404, 401 or 403; the caller has no role there, or there is no such group.
        """
        scope = subscription_scope(subscription)
        self.require_subscription(subscription)
        if not sees_subscription(self.service.cloud, self.caller.principal, subscription):
            self.authorize("Microsoft.Resources/subscriptions/read", scope)
        if group is None:
            return scope
        self.find_group(subscription, group)
        return group_scope(subscription, group)

    def find_operation(self, operation_id: str, subscription: str) -> Operation | None:
        """Return an operation of a subscription if the caller was told of it or may read there; or None.

        Raises:
            CloudError: 404, 401 or 403; the caller has no role in the subscription.
        """
        self.require_subscription(subscription)
        found = self.service.operations.find(operation_id, subscription=subscription)
        if found is not None and self.caller.principal in found.callers:
            return found  # even if its role went with what it deleted
        scope = self.enter(subscription)
        return found if self.may("Microsoft.Resources/subscriptions/operationresults/read", scope) else None

    def note(
        self, action: str, scope: ResourceId | str, *, succeeded: bool = True, status: str = "OK"
    ) -> None:
        """Log that the caller asked for `action`; if the activity log is full, its oldest event goes.

        `action` is Azure's name for it, `status` HTTP's, with the reason if there is one.
        """
        cloud = self.service.cloud
        event = ActivityEvent(
            id=str(uuid.uuid4()),
            at=self.service.now(),
            operation=action.upper(),
            scope=str(scope),
            caller=self.caller.name,
            caller_id=self.caller.principal,
            address=self.address,
            succeeded=succeeded,
            status=status,
            correlation=str(uuid.uuid4()),
        )
        cloud.put(event)
        events = cloud.all(ActivityEvent)
        if len(events) > EVENTS_MAX:
            cloud.remove(events[0])

    def readable(self, kind: type[ResourceT], scope: str) -> list[ResourceT]:
        """Return the resources of `kind` under `scope` that the caller may read, oldest first."""
        return [
            one
            for one in self.service.cloud.all(kind)
            if is_within(str(one.id), scope) and self.may(f"{one.id.type}/read", one.id)
        ]

    def find(self, kind: type[ResourceT], target: ResourceId, *, action: str) -> ResourceT:
        """Return the resource that the caller may do `action` to; raises CloudError 401, 403 or 404."""
        self.authorize(f"{target.type}/{action}", target)
        found = self.service.cloud.find(kind, target.key)
        if found is not None:
            return found
        if target.parent is not None and self.service.cloud.find(ScaleSet, target.parent.key) is not None:
            raise refusal("NotFound.instance")
        raise resource_not_found(target)

    def find_group(self, subscription: str, group: str) -> ResourceGroup:
        """Return a resource group; raises CloudError 404 if there is none."""
        found = self.service.cloud.find(ResourceGroup, group_scope(subscription, group))
        if found is None:
            raise refusal("ResourceGroupNotFound", group=group)
        return found

    def require_group(self, subscription: str, group: str) -> ResourceGroup:
        """Return a group to make or change something in; raises CloudError 404, or 409 if it is going."""
        found = self.find_group(subscription, group)
        if found.deleting:
            raise refusal("ResourceGroupBeingDeleted", group=found.name)
        return found

    def accepted(self, operation: Operation, *, status: int = 202, body: Any = None) -> Response:
        """Return the answer to a request whose work continues in `operation`.

        A 202 is empty and has a Location, which some clients request at the end; a 200 or 201 shows the
        resource while it changes. The caller may poll the operation from now on.
        """
        operation.callers.add(self.caller.principal)
        url = (
            f"{self.service.endpoint}{subscription_scope(operation.subscription)}/providers/Microsoft.Compute"
            f"/locations/{operation.location}/operations/{operation.id}"
        )
        headers = {
            "Azure-AsyncOperation": f"{url}?api-version={self.api_version}",
            "Azure-AsyncNotification": "Enabled",
            "Retry-After": RETRY_AFTER_S,
        }
        if body is not None:
            return JSONResponse(body, status, headers=headers)
        headers["Location"] = f"{url}?monitor=true&api-version={self.api_version}"
        return Response(status_code=status, headers=headers)


def call_of(request: Request, service: ServiceOf) -> Call:
    """Return `request` as a call; raises CloudError 401, whose message never contains the token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise refusal("AuthenticationFailed")
    if scheme.lower() != "bearer" or not token.strip():
        raise refusal("AuthenticationFailedInvalidHeader")
    caller = accept_token(service, token.strip())
    vouch(request, caller.principal)
    return Call(
        service=service,
        caller=caller,
        address="" if request.client is None else request.client.host,
        api_version=request.query_params.get("api-version", ""),
    )


CallOf = Annotated[Call, Depends(call_of)]
