"""Instances of scale sets: a list, PUT, PATCH, DELETE, and what VMs have too (`machine_routes`, U4)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response

from emulator.cloud.compute import Body as Json
from emulator.cloud.compute_changes import patch_vm, put_instance
from emulator.cloud.records import ScaleSet, VirtualMachine
from emulator.cloud.resource_id import ResourceId, instance_id
from emulator.service.compute.calls import (
    CallOf,
    Expand,
    ResourceName,
    SubscriptionName,
    change_machine,
    find_machine,
    find_scale_set,
    read_expand,
    show_machine,
)
from emulator.service.compute.power import Action
from emulator.service.compute.scale_set_calls import begin_removal, instances_of
from emulator.service.core.routing import arm_router
from emulator.service.routes.machine_routes import add_machine_routes
from emulator.service.routes.scale_sets import TYPE as SET_TYPE
from emulator.service.routes.scale_sets import Target

TYPE = f"{SET_TYPE}/virtualMachines"
_SET = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{SET_TYPE}/{{name}}"
_INSTANCES = f"{_SET}/virtualMachines"
_INSTANCE = f"{_INSTANCES}/{{instance}}"

router: APIRouter = arm_router()


def locate_instance(
    subscription: SubscriptionName, group: ResourceName, name: ResourceName, instance: ResourceName
) -> ResourceId:
    """Return the id of the instance in the path."""
    return instance_id(subscription, group, scale_set=name, instance=instance)


Instance = Annotated[ResourceId, Depends(locate_instance)]
Document = Annotated[dict[str, Any], Body()]


@router.get(_INSTANCES)
async def list_instances(call: CallOf, target: Target, expand: Expand = None) -> Json:
    """List the instances of a scale set, with `$expand=instanceView` also their states."""
    scale_set = find_scale_set(call, target, action="virtualMachines/read")
    with_view = read_expand(expand)
    present = instances_of(call.service, scale_set)
    return {"value": [show_machine(call, vm, with_view=with_view) for vm in present]}


@router.put(_INSTANCE)
async def put_one(call: CallOf, target: Instance, body: Document) -> Response:
    """Replace what is said of an instance; there is none to be made so."""
    vm = find_machine(call, target, action="write")
    return change_machine(call, vm, put_instance(body, vm=target, old=vm.document))


@router.patch(_INSTANCE)
async def patch_one(call: CallOf, target: Instance, body: Document) -> Response:
    """Change some of what is said of an instance."""
    vm = find_machine(call, target, action="write")
    return change_machine(call, vm, patch_vm(body, vm=target, old=vm.document))


@router.delete(_INSTANCE, status_code=202)
async def delete_one(call: CallOf, target: Instance) -> Response:
    """Delete an instance and its guest; 204 where there is none."""
    call.authorize(f"{TYPE}/delete", target)
    vm = call.service.cloud.find(VirtualMachine, target.key)
    scale_set = None if target.parent is None else call.service.cloud.find(ScaleSet, target.parent.key)
    if vm is None or scale_set is None:
        return Response(status_code=204)
    call.note(f"{TYPE}/delete", target)
    return call.accepted(begin_removal(call.service, scale_set, [vm], by=call.caller.name))


add_machine_routes(
    router,
    _INSTANCE,
    locate_instance,
    actions=(Action.START, Action.RESTART, Action.DEALLOCATE, Action.REDEPLOY, Action.REIMAGE),
)
