"""One call of Resource Manager: who calls, whether they may, and how it is answered.

See docs/facts/azure.md 4 "LRO".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from fastapi import Body, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from emulator.cloud.compute import Json, render_instance, render_instance_view, render_vm
from emulator.cloud.console_access import resource_not_found
from emulator.cloud.documents import table
from emulator.cloud.guest_plan import GuestPlan, plan_guest
from emulator.cloud.records import ResourceGroup, ScaleSet, StorageAccount, VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId, group_scope, is_within, subscription_scope
from emulator.cloud.roles import is_allowed
from emulator.guest_images.own import linux_names
from emulator.service.compute.power import begin_change
from emulator.service.core.authentication import (
    Caller,
    address_of,
    authorize,
    authorize_member,
    require_group,
    require_subscription,
)
from emulator.service.core.context import Service, ServiceOf, require_api_version
from emulator.service.parts.operations import Operation
from emulator.service.parts.tokens import Claims

RETRY_AFTER_S = "1"
"""Without it az waits 30 s between polls (docs/facts/azure.md 4)."""

ResourceName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.()-]{1,90}$")]
SubscriptionName = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]
ApiVersion = Annotated[str, Depends(require_api_version)]
Expand = Annotated[str | None, Query(alias="$expand", max_length=90)]
Filter = Annotated[str | None, Query(alias="$filter")]
Document = Annotated[Json, Body()]
MaybeDocument = Annotated[Json | None, Body()]
ResourceT = TypeVar("ResourceT", VirtualMachine, ScaleSet, StorageAccount)


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
        """Check that the caller may do `action` at `scope`; raises CloudError 404, 401 or 403."""
        authorize(self.service, self.caller, action, scope=str(scope))

    def may(self, action: str, scope: ResourceId | str) -> bool:
        """Tell whether the caller may do `action` at `scope`."""
        return is_allowed(self.service.cloud, self.caller.principal, action=action, scope=str(scope))

    def enter(self, subscription: str, group: str | None = None) -> str:
        """Return the scope of a subscription, or of a group in it, once the caller has any role there.

        Raises:
            CloudError: 404, 401 or 403; the caller has no role there, or there is no such group.
        """
        authorize_member(self.service, self.caller, subscription)
        if group is None:
            return subscription_scope(subscription)
        require_group(self.service, subscription, group)
        return group_scope(subscription, group)

    def find_operation(self, operation_id: str, subscription: str) -> Operation | None:
        """Return an operation of a subscription if the caller was told of it or may read there; or None.

        Raises:
            CloudError: 404, 401 or 403; the caller has no role in the subscription.
        """
        require_subscription(self.service, self.caller, subscription)
        found = self.service.operations.find(operation_id, subscription=subscription)
        if found is not None and self.caller.principal in found.callers:
            return found  # even if its role went with what it deleted
        scope = self.enter(subscription)
        return found if self.may("Microsoft.Resources/subscriptions/operationresults/read", scope) else None

    def note(
        self, action: str, scope: ResourceId | str, *, succeeded: bool = True, status: str = "OK"
    ) -> None:
        """Write into the activity log that the caller asked for `action`; see `ActivityLog.note`."""
        self.service.activity.note(
            action,
            scope=str(scope),
            caller=self.caller,
            address=self.address,
            succeeded=succeeded,
            status=status,
        )

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

    def require_group(self, subscription: str, group: str) -> ResourceGroup:
        """Return a group to make or change something in; raises CloudError 404, or 409 if it is going."""
        found = require_group(self.service, subscription, group)
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


def call_of(request: Request, service: ServiceOf, caller: Caller, api_version: ApiVersion) -> Call:
    """Return `request` as a call."""
    return Call(service=service, caller=caller, address=address_of(request), api_version=api_version)


CallOf = Annotated[Call, Depends(call_of)]


def read_expand(expand: str | None) -> bool:
    """Tell whether `$expand` asks for the instance view; raises CloudError 400 for anything else."""
    wanted = {word.strip().lower() for word in (expand or "").split(",") if word.strip()}
    if not wanted <= {"instanceview", "userdata"}:
        raise refusal("InvalidParameter.expand", expand=expand)
    return "instanceview" in wanted


def show_machine(call: Call, vm: VirtualMachine, *, with_view: bool = False) -> Json:
    """Return `vm` as a GET shows it."""
    view = render_instance_view(vm, now=call.service.now()) if with_view else None
    scale_set = None if vm.scale_set is None else call.service.cloud.find(ScaleSet, vm.scale_set.key)
    return render_vm(vm, view=view) if scale_set is None else render_instance(vm, scale_set, view=view)


def change_machine(call: Call, vm: VirtualMachine, document: Mapping[str, Any]) -> Response:
    """Give `vm` another document, if that changes it; raises CloudError 409 while an operation runs."""
    changed = replace(vm, document=document, guest=replan(vm, document))
    if render_vm(changed) == render_vm(vm):
        return JSONResponse(show_machine(call, vm))
    operation = begin_change(call.service, changed, created=False)
    call.note(f"{vm.id.type}/write", vm.id)
    shown = call.service.cloud.find(VirtualMachine, vm.key) or changed
    return call.accepted(operation, status=200, body=show_machine(call, shown))


def replan(vm: VirtualMachine, document: Mapping[str, Any]) -> GuestPlan:
    """Return the plan of the guest for `vm` with `document`; a new one only if the document asks for it."""
    before = plan(table(vm.document, "properties"))
    after = plan(table(document, "properties"))
    return vm.guest if before == after else after


def plan(properties: Mapping[str, Any]) -> GuestPlan:
    """Return the plan of the guest for a VM with `properties`."""
    return plan_guest(properties, known_images=linux_names())
