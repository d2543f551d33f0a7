"""What routes of VMs, scale sets and their like share: parts of requests, and how machines are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from fastapi.responses import JSONResponse

from emulator.cloud.compute import Json, render_instance, render_instance_view, render_vm
from emulator.cloud.documents import table
from emulator.cloud.guest_plan import GuestPlan, plan_guest
from emulator.cloud.records import ScaleSet, VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.guest_images.own import linux_names
from emulator.service.compute.power import begin_change
from emulator.service.core.call import Call, CallOf

ResourceName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.()-]{1,90}$")]
SubscriptionName = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Expand = Annotated[str | None, Query(alias="$expand", max_length=90)]
Filter = Annotated[str | None, Query(alias="$filter")]
Document = Annotated[Json, Body()]
MaybeDocument = Annotated[Json | None, Body()]


def add_lists(router: APIRouter, kind: str, show: Callable[[Call, str], Json]) -> None:
    """Give `router` the lists of a kind of resources ("Microsoft.Compute/virtualMachineScaleSets").

    `show` returns the resources under a scope that the caller may see.
    """

    @router.get(f"/subscriptions/{{subscription}}/providers/{kind}")
    async def list_in_subscription(subscription: SubscriptionName, call: CallOf) -> Json:
        """List the resources of this kind in a subscription that the caller may see."""
        return show(call, call.enter(subscription))

    @router.get(f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{kind}")
    async def list_in_group(subscription: SubscriptionName, group: ResourceName, call: CallOf) -> Json:
        """List the resources of this kind in a resource group that the caller may see."""
        return show(call, call.enter(subscription, group))


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
    operation = begin_change(call, changed, created=False)
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
