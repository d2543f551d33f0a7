"""Microsoft.Compute/virtualMachines: lists and changes; `machine_routes` adds the rest.

See docs/facts/azure.md 4.
"""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from emulator.cloud.compute import Json
from emulator.cloud.compute_changes import patch_vm, put_vm
from emulator.cloud.documents import table
from emulator.cloud.records import VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId, vm_id
from emulator.cloud.settings import azure_document
from emulator.service.compute.calls import (
    Document,
    Expand,
    ResourceName,
    SubscriptionName,
    change_machine,
    plan,
    read_expand,
    show_machine,
)
from emulator.service.compute.power import Action, begin_change, begin_delete
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import arm_router
from emulator.service.routes.machine_routes import add_machine_routes

TYPE = "Microsoft.Compute/virtualMachines"
SIZES: tuple[tuple[str, int, int], ...] = (
    ("Standard_B1s", 1, 256),
    ("Standard_B1ms", 1, 256),
    ("Standard_B2s", 2, 256),
    ("Standard_B2ms", 2, 256),
    ("Standard_B4ms", 4, 256),
)
"""Sizes that set how many processors the guest really has: name, processors, MiB."""

_PROVIDER = "/providers/Microsoft.Compute"
_IN_SUBSCRIPTION = f"/subscriptions/{{subscription}}{_PROVIDER}"
_IN_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}{_PROVIDER}/virtualMachines"
_VM = f"{_IN_GROUP}/{{name}}"

router: APIRouter = arm_router()


def locate_vm(subscription: SubscriptionName, group: ResourceName, name: ResourceName) -> ResourceId:
    """Return the id of the VM in the path."""
    return vm_id(subscription, group, name)


Target = Annotated[ResourceId, Depends(locate_vm)]
StatusOnly = Annotated[str, Query(alias="statusOnly")]


@router.get(f"{_IN_SUBSCRIPTION}/virtualMachines")
async def list_all_vms(
    subscription: SubscriptionName, call: CallOf, status_only: StatusOnly = "false", expand: Expand = None
) -> Json:
    """List the VMs of a subscription that the caller may see; `statusOnly=true` adds their states."""
    if status_only.lower() not in {"true", "false"}:
        raise refusal("InvalidParameter.status-only")
    with_view = read_expand(expand) or status_only.lower() == "true"
    return _list(call, call.enter(subscription), with_view=with_view)


@router.get(_IN_GROUP)
async def list_vms(
    subscription: SubscriptionName, group: ResourceName, call: CallOf, expand: Expand = None
) -> Json:
    """List the VMs of a resource group that the caller may see."""
    return _list(call, call.enter(subscription, group), with_view=read_expand(expand))


@router.get(f"{_IN_SUBSCRIPTION}/locations/{{location}}/vmSizes")
async def list_sizes(subscription: SubscriptionName, location: ResourceName, call: CallOf) -> Json:  # noqa: ARG001  # sizes are the same in all regions
    """List the sizes that make a difference."""
    call.enter(subscription)
    return _sizes()


@router.get(f"{_VM}/vmSizes")
async def list_sizes_of_vm(call: CallOf, target: Target) -> Json:
    """List the sizes that a VM can have."""
    call.find(VirtualMachine, target, action="vmSizes/read")
    return _sizes()


@router.put(_VM)
async def put(call: CallOf, target: Target, body: Document) -> Response:
    """Make a VM, or replace its description."""
    call.authorize(f"{TYPE}/write", target)
    call.require_group(target.subscription, target.group)
    old = call.service.cloud.find(VirtualMachine, target.key)
    document = put_vm(body, vm=target, old=None if old is None else old.document)
    if old is not None:
        return change_machine(call, old, document)
    vm = VirtualMachine(
        id=target,
        document=document,
        vm_id=str(uuid.uuid4()),
        created=call.service.now(),
        guest=plan(table(document, "properties")),
    )
    operation = begin_change(call, vm, created=True)
    call.note(f"{TYPE}/write", target)
    shown = call.service.cloud.find(VirtualMachine, vm.key) or vm
    return call.accepted(operation, status=201, body=show_machine(call, shown))


@router.patch(_VM)
async def patch(call: CallOf, target: Target, body: Document) -> Response:
    """Change part of a VM's description."""
    vm = call.find(VirtualMachine, target, action="write")
    return change_machine(call, vm, patch_vm(body, vm=target, old=vm.document))


@router.delete(_VM, status_code=202)
async def delete(call: CallOf, target: Target) -> Response:
    """Delete a VM and its guest; 204 where there is none."""
    call.authorize(f"{TYPE}/delete", target)
    vm = call.service.cloud.find(VirtualMachine, target.key)
    if vm is None:
        return Response(status_code=204)
    call.note(f"{TYPE}/delete", target)
    return call.accepted(begin_delete(call, [vm], on=vm))


@router.get(f"{_IN_SUBSCRIPTION}/skus")
async def list_skus(subscription: SubscriptionName, call: CallOf) -> Json:
    """List the sizes as `az vm list-skus` asks for them."""
    call.enter(subscription)
    return {"value": [_sku(*size, call.service.settings.cloud.locations) for size in SIZES]}


def _list(call: Call, scope: str, *, with_view: bool) -> Json:
    found = (vm for vm in call.readable(VirtualMachine, scope) if vm.scale_set is None)
    return {"value": [show_machine(call, vm, with_view=with_view) for vm in found]}


def _sizes() -> Json:
    return {
        "value": [
            azure_document("size", name=name, cores=cores, memory=memory) for name, cores, memory in SIZES
        ]
    }


def _sku(name: str, cores: int, memory_mib: int, locations: tuple[str, ...]) -> Json:
    return azure_document(
        "sku",
        name=name,
        size=name.partition("_")[2],
        locations=list(locations),
        zones=[{"location": location, "zones": []} for location in locations],
        cores=cores,
        memory_gib=memory_mib / 1024,
    )


_ACTIONS = [action for action in Action if action is not Action.POWER_OFF]  # which has a route of its own
add_machine_routes(router, _VM, locate_vm, actions=_ACTIONS)
