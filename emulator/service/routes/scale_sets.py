"""Microsoft.Compute/virtualMachineScaleSets: the sets, their instances, and actions on several at once.

`machine_routes` adds the routes that instances share with VMs (U4).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from emulator.cloud.compute import (
    Json,
    capacity_of,
    model_of,
    render_scale_set,
    render_scale_set_view,
    upgrades_by_itself,
)
from emulator.cloud.compute_changes import (
    patch_scale_set,
    patch_vm,
    put_instance,
    put_scale_set,
    read_instance_ids,
)
from emulator.cloud.records import ScaleSet, VirtualMachine
from emulator.cloud.resource_id import ResourceId, instance_id, scale_set_id
from emulator.service.compute.calls import (
    Document,
    Expand,
    MaybeDocument,
    ResourceName,
    SubscriptionName,
    add_lists,
    change_machine,
    read_expand,
    show_machine,
)
from emulator.service.compute.power import Action, begin_action, require_free
from emulator.service.compute.scale_set_calls import (
    begin_removal,
    begin_scaling,
    begin_set_delete,
    begin_upgrade,
    instances_of,
)
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import arm_router
from emulator.service.routes.machine_routes import add_machine_routes

TYPE = "Microsoft.Compute/virtualMachineScaleSets"
_IN_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{TYPE}"
_SET = f"{_IN_GROUP}/{{name}}"
_INSTANCES = f"{_SET}/virtualMachines"
_INSTANCE = f"{_INSTANCES}/{{instance}}"

router: APIRouter = arm_router()


def locate_scale_set(subscription: SubscriptionName, group: ResourceName, name: ResourceName) -> ResourceId:
    """Return the id of the scale set in the path."""
    return scale_set_id(subscription, group, name)


Target = Annotated[ResourceId, Depends(locate_scale_set)]


@router.get(_SET)
async def read_scale_set(call: CallOf, target: Target) -> Json:
    """Show a scale set."""
    return render_scale_set(call.find(ScaleSet, target, action="read"))


@router.get(f"{_SET}/instanceView")
async def read_scale_set_view(call: CallOf, target: Target) -> Json:
    """Show how many instances are in each state."""
    scale_set = call.find(ScaleSet, target, action="instanceView/read")
    return render_scale_set_view(scale_set, instances_of(call.service, scale_set))


@router.put(_SET)
async def put_set(call: CallOf, target: Target, body: Document) -> Response:
    """Make a scale set with its instances, or replace its description."""
    call.authorize(f"{TYPE}/write", target)
    call.require_group(target.subscription, target.group)
    old = call.service.cloud.find(ScaleSet, target.key)
    document = put_scale_set(body, scale_set=target, old=None if old is None else old.document)
    if old is not None:
        return _change(call, old, document)
    scale_set = ScaleSet(
        id=target, document=document, unique_id=str(uuid.uuid4()), created=call.service.now()
    )
    return _scale(call, scale_set, status=201)


@router.patch(_SET)
async def patch_set(call: CallOf, target: Target, body: Document) -> Response:
    """Change part of a scale set's description: its capacity, its model."""
    scale_set = call.find(ScaleSet, target, action="write")
    return _change(call, scale_set, patch_scale_set(body, scale_set=target, old=scale_set.document))


@router.delete(_SET, status_code=202)
async def delete_set(call: CallOf, target: Target) -> Response:
    """Delete a scale set with its instances; 204 where there is none."""
    call.authorize(f"{TYPE}/delete", target)
    scale_set = call.service.cloud.find(ScaleSet, target.key)
    if scale_set is None:
        return Response(status_code=204)
    call.note(f"{TYPE}/delete", target)
    running = call.service.operations.running_on(scale_set.key)
    if running is None or running.action != "delete":
        running = begin_set_delete(call, scale_set)
    return call.accepted(running)


# -- several instances at once ---------------------------------------------------------------------


def _add_action(action: Action, description: str) -> None:
    name = f"{action}_instances"

    @router.post(f"{_SET}/{action}", status_code=202, name=name, description=description)
    async def act(call: CallOf, target: Target, body: MaybeDocument = None) -> Response:
        return _act(call, target, body, action=action)


for _action, _description in {
    Action.START: "Start instances.",
    Action.RESTART: "Restart instances.",
    Action.DEALLOCATE: "Shut instances down and give their hosts back.",
    Action.REDEPLOY: "Move instances to other hosts: a power cycle.",
    Action.REIMAGE: "Start instances anew from their image.",
}.items():
    _add_action(_action, _description)


@router.post(f"{_SET}/reimageall", status_code=202)
async def reimage_all_disks(call: CallOf, target: Target, body: MaybeDocument = None) -> Response:
    """Start instances anew from their image; `az vmss reimage` asks for it this way."""
    return _act(call, target, body, action=Action.REIMAGE)


@router.post(f"{_SET}/poweroff", status_code=202)
async def power_off_instances(
    call: CallOf,
    target: Target,
    body: MaybeDocument = None,
    skip_shutdown: Annotated[bool, Query(alias="skipShutdown")] = False,  # noqa: FBT002
) -> Response:
    """Shut instances down; with `skipShutdown=true` cut their power."""
    return _act(call, target, body, action=Action.POWER_OFF, skip_shutdown=skip_shutdown)


@router.post(f"{_SET}/manualupgrade", status_code=202)
async def upgrade_instances(call: CallOf, target: Target, body: Document) -> Response:
    """Give instances the current model of their scale set."""
    scale_set, vms = _choose(call, target, body, action="manualUpgrade/action")
    operation = begin_upgrade(call, scale_set, vms)
    call.note(f"{TYPE}/manualUpgrade/action", target)
    return call.accepted(operation)


@router.post(f"{_SET}/delete", status_code=202)
async def delete_instances(call: CallOf, target: Target, body: Document) -> Response:
    """Delete instances."""
    scale_set, vms = _choose(call, target, body, action="delete/action")
    operation = begin_removal(call, scale_set, vms)
    call.note(f"{TYPE}/delete/action", target)
    return call.accepted(operation)


def _act(
    call: Call,
    target: ResourceId,
    body: Mapping[str, Any] | None,
    *,
    action: Action,
    skip_shutdown: bool = False,
) -> Response:
    scale_set, vms = _choose(call, target, body, action=f"{action.value}/action")
    operation = begin_action(call, vms, action, on=scale_set, skip_shutdown=skip_shutdown)
    call.note(f"{TYPE}/{action.value}/action", target)
    return call.accepted(operation)


def _choose(
    call: Call, target: ResourceId, body: Mapping[str, Any] | None, *, action: str
) -> tuple[ScaleSet, list[VirtualMachine]]:
    scale_set = call.find(ScaleSet, target, action=action)
    present = instances_of(call.service, scale_set)
    chosen = read_instance_ids(body, known=[vm.id.name for vm in present])
    return scale_set, [vm for vm in present if vm.id.name in chosen]


def _change(call: Call, old: ScaleSet, document: Mapping[str, Any]) -> Response:
    """Give a scale set another document; a changed model gets a new version, which its instances lack."""
    changed = replace(old, document=document)
    if render_scale_set(changed) == render_scale_set(old):
        return JSONResponse(render_scale_set(old))
    require_free(call.service, old, "createOrUpdate")
    if model_of(document) != model_of(old.document):
        changed = replace(changed, model_version=old.model_version + 1)
    present = instances_of(call.service, changed)
    staying = present[: capacity_of(document)]
    behind = [vm for vm in staying if vm.model_version != changed.model_version]
    if behind and upgrades_by_itself(document):
        begin_upgrade(call, changed, behind)
    return _scale(call, changed, status=200)


def _scale(call: Call, scale_set: ScaleSet, *, status: int) -> Response:
    operation = begin_scaling(call, scale_set, created=status == 201)
    call.note(f"{TYPE}/write", scale_set.id)
    shown = call.service.cloud.find(ScaleSet, scale_set.key) or scale_set
    return call.accepted(operation, status=status, body=render_scale_set(shown))


def _list(call: Call, scope: str) -> Json:
    return {"value": [render_scale_set(one) for one in call.readable(ScaleSet, scope)]}


add_lists(router, TYPE, _list)


# -- one instance ----------------------------------------------------------------------------------


def locate_instance(
    subscription: SubscriptionName, group: ResourceName, name: ResourceName, instance: ResourceName
) -> ResourceId:
    """Return the id of the instance in the path."""
    return instance_id(subscription, group, scale_set=name, instance=instance)


Instance = Annotated[ResourceId, Depends(locate_instance)]


@router.get(_INSTANCES)
async def list_instances(call: CallOf, target: Target, expand: Expand = None) -> Json:
    """List the instances of a scale set, with `$expand=instanceView` also their states."""
    scale_set = call.find(ScaleSet, target, action="virtualMachines/read")
    with_view = read_expand(expand)
    present = instances_of(call.service, scale_set)
    return {"value": [show_machine(call, vm, with_view=with_view) for vm in present]}


@router.put(_INSTANCE)
async def put_one(call: CallOf, target: Instance, body: Document) -> Response:
    """Replace an instance's description; none can be made this way."""
    vm = call.find(VirtualMachine, target, action="write")
    return change_machine(call, vm, put_instance(body, vm=target, old=vm.document))


@router.patch(_INSTANCE)
async def patch_one(call: CallOf, target: Instance, body: Document) -> Response:
    """Change part of an instance's description."""
    vm = call.find(VirtualMachine, target, action="write")
    return change_machine(call, vm, patch_vm(body, vm=target, old=vm.document))


@router.delete(_INSTANCE, status_code=202)
async def delete_one(call: CallOf, target: Instance) -> Response:
    """Delete an instance and its guest; 204 where there is none."""
    call.authorize(f"{target.type}/delete", target)
    vm = call.service.cloud.find(VirtualMachine, target.key)
    scale_set = None if target.parent is None else call.service.cloud.find(ScaleSet, target.parent.key)
    if vm is None or scale_set is None:
        return Response(status_code=204)
    call.note(f"{target.type}/delete", target)
    return call.accepted(begin_removal(call, scale_set, [vm]))


add_machine_routes(
    router,
    _INSTANCE,
    locate_instance,
    actions=(Action.START, Action.RESTART, Action.DEALLOCATE, Action.REDEPLOY, Action.REIMAGE),
)
