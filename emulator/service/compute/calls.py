"""One call of Resource Manager: who asks, may they, and the forms of the answers (azure.md 4 "LRO")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from emulator.cloud.records import ResourceGroup
from emulator.cloud.resource_id import ResourceId, subscription_scope
from emulator.cloud.roles import is_allowed
from emulator.errors import CloudError
from emulator.service.context import Service, ServiceOf
from emulator.service.identity.authentication import Caller, address_of, authorize, authorize_member
from emulator.service.identity.scopes import require_group
from emulator.service.identity.tokens import Claims
from emulator.service.operations import Operation
from emulator.service.routing import require_api_version

RETRY_AFTER_S = "1"
"""Without it az waits 30 s for each poll (azure.md 4)."""

ResourceName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.()-]{1,90}$")]
SubscriptionName = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]
ApiVersion = Annotated[str, Depends(require_api_version)]
Expand = Annotated[str | None, Query(alias="$expand", max_length=90)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose caller is known.

    Attributes:
        service: what is called.
        caller: who calls.
        address: where from.
        api_version: what the caller asked for; answers are the same in all.
    """

    service: Service
    caller: Claims
    address: str
    api_version: str

    def authorize(self, action: str, scope: ResourceId | str) -> None:
        """Check that the caller may do `action` at `scope`.

        Raises:
            CloudError: 404, 401 or 403.
        """
        authorize(self.service, self.caller, action, scope=str(scope))

    def may(self, action: str, scope: ResourceId | str) -> bool:
        """Tell whether the caller may do `action` at `scope`; lists show only what may be read."""
        return is_allowed(self.service.cloud, self.caller.principal, action=action, scope=str(scope))

    def enter(self, subscription: str) -> None:
        """Check that the caller has any role in the subscription.

        Raises:
            CloudError: 404, 401 or 403.
        """
        authorize_member(self.service, self.caller, subscription)

    def note(self, action: str, scope: ResourceId | str) -> None:
        """Write into the activity log that `action` was accepted."""
        self.service.activity.note(
            action,
            scope=str(scope),
            caller=self.caller.name,
            caller_id=self.caller.principal,
            address=self.address,
        )

    def require_group(self, subscription: str, group: str) -> ResourceGroup:
        """Return the resource group.

        Raises:
            CloudError: 404 ResourceGroupNotFound.
        """
        return require_group(self.service, subscription, group)

    def accepted(self, operation: Operation, *, status: int = 202, body: Any = None) -> Response:
        """Return the answer to a request whose work goes on in `operation`.

        A 202 is empty and has a Location, which some clients ask in the end; a 200 or 201 shows the
        resource as it is while it changes.
        """
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


def call_of(request: Request, service: ServiceOf, caller: Caller, api_version: ApiVersion) -> Call:
    """Return the call that `request` is."""
    return Call(service=service, caller=caller, address=address_of(request), api_version=api_version)


CallOf = Annotated[Call, Depends(call_of)]


def read_expand(expand: str | None) -> bool:
    """Tell whether `$expand` asks for the instance view.

    Raises:
        CloudError: 400; it asks for something that there is not.
    """
    wanted = {word.strip().lower() for word in (expand or "").split(",") if word.strip()}
    if not wanted <= {"instanceview", "userdata"}:
        raise CloudError(400, "InvalidParameter", f"The value {expand!a} of parameter '$expand' is invalid.")
    return "instanceview" in wanted
