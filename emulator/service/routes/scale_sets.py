"""Microsoft.Compute/virtualMachineScaleSets: the sets, and what is done to several instances at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from fastapi.responses import JSONResponse

from emulator.cloud.compute import Body as Json
from emulator.cloud.compute import (
    capacity_of,
    model_of,
    render_scale_set,
    render_scale_set_view,
    upgrades_by_itself,
)
from emulator.cloud.compute_changes import patch_scale_set, put_scale_set, read_instance_ids
from emulator.cloud.records import ScaleSet, VirtualMachine
from emulator.cloud.resource_id import ResourceId, group_scope, is_within, scale_set_id, subscription_scope
from emulator.errors import CloudError
from emulator.service.compute.calls import Call, CallOf, ResourceName, SubscriptionName, find_scale_set
from emulator.service.compute.power import Action, begin_action
from emulator.service.compute.scale_set_calls import (
    begin_removal,
    begin_scaling,
    begin_set_delete,
    begin_upgrade,
    instances_of,
    location_of_set,
    numbers_of,
)
from emulator.service.core.routing import arm_router
from emulator.service.parts.operations import Operation

TYPE = "Microsoft.Compute/virtualMachineScaleSets"
_IN_SUBSCRIPTION = f"/subscriptions/{{subscription}}/providers/{TYPE}"
_IN_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{TYPE}"
_SET = f"{_IN_GROUP}/{{name}}"

router: APIRouter = arm_router()


def locate_scale_set(subscription: SubscriptionName, group: ResourceName, name: ResourceName) -> ResourceId:
    """Return the id of the scale set in the path."""
    return scale_set_id(subscription, group, name)


Target = Annotated[ResourceId, Depends(locate_scale_set)]
Document = Annotated[dict[str, Any], Body()]
Chosen = Annotated[dict[str, Any] | None, Body()]


@router.get(_IN_SUBSCRIPTION)
async def list_all_scale_sets(subscription: SubscriptionName, call: CallOf) -> Json:
    """List the scale sets of a subscription that the caller may see."""
    return _list(call, subscription, subscription_scope(subscription))


@router.get(_IN_GROUP)
async def list_scale_sets(subscription: SubscriptionName, group: ResourceName, call: CallOf) -> Json:
    """List the scale sets of a resource group that the caller may see."""
    call.enter(subscription)
    call.require_group(subscription, group)
    return _list(call, subscription, group_scope(subscription, group))


@router.get(_SET)
async def read_scale_set(call: CallOf, target: Target) -> Json:
    """Show a scale set."""
    return render_scale_set(find_scale_set(call, target, action="read"))


@router.get(f"{_SET}/instanceView")
async def read_scale_set_view(call: CallOf, target: Target) -> Json:
    """Show how many instances are in which state."""
    scale_set = find_scale_set(call, target, action="instanceView/read")
    return render_scale_set_view(scale_set, instances_of(call.service, scale_set))


@router.put(_SET)
async def put_set(call: CallOf, target: Target, body: Document) -> Response:
    """Make a scale set with its instances, or replace what is said of it."""
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
    """Change some of what is said of a scale set: its capacity, its model."""
    scale_set = find_scale_set(call, target, action="write")
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
        running = begin_set_delete(call.service, scale_set, by=call.caller.name)
    return call.accepted(running)


# -- several instances at once ---------------------------------------------------------------------


@router.post(f"{_SET}/start", status_code=202)
async def start_instances(call: CallOf, target: Target, body: Chosen = None) -> Response:
    """Start instances."""
    return _act(call, target, body, action=Action.START)


@router.post(f"{_SET}/restart", status_code=202)
async def restart_instances(call: CallOf, target: Target, body: Chosen = None) -> Response:
    """Restart instances."""
    return _act(call, target, body, action=Action.RESTART)


@router.post(f"{_SET}/poweroff", status_code=202)
async def power_off_instances(
    call: CallOf,
    target: Target,
    body: Chosen = None,
    skip_shutdown: Annotated[bool, Query(alias="skipShutdown")] = False,  # noqa: FBT002
) -> Response:
    """Shut instances down; with `skipShutdown=true` cut their power."""
    return _act(call, target, body, action=Action.POWER_OFF, skip_shutdown=skip_shutdown)


@router.post(f"{_SET}/deallocate", status_code=202)
async def deallocate_instances(call: CallOf, target: Target, body: Chosen = None) -> Response:
    """Shut instances down and give their hosts back."""
    return _act(call, target, body, action=Action.DEALLOCATE)


@router.post(f"{_SET}/redeploy", status_code=202)
async def redeploy_instances(call: CallOf, target: Target, body: Chosen = None) -> Response:
    """Move instances to other hosts: a power cycle."""
    return _act(call, target, body, action=Action.REDEPLOY)


@router.post(f"{_SET}/reimage", status_code=202)
async def reimage_instances(call: CallOf, target: Target, body: Chosen = None) -> Response:
    """Start instances anew from their image."""
    return _act(call, target, body, action=Action.REIMAGE)


@router.post(f"{_SET}/reimageall", status_code=202)
async def reimage_all_disks(call: CallOf, target: Target, body: Chosen = None) -> Response:
    """Start instances anew from their image; `az vmss reimage` asks so."""
    return _act(call, target, body, action=Action.REIMAGE)


@router.post(f"{_SET}/manualupgrade", status_code=202)
async def upgrade_instances(call: CallOf, target: Target, body: Document) -> Response:
    """Give instances the present model of their scale set."""
    scale_set, vms = _choose(call, target, body, action="manualUpgrade/action")
    operation = begin_upgrade(call.service, scale_set, vms) if vms else _nothing(call, scale_set)
    call.note(f"{TYPE}/manualUpgrade/action", target)
    return call.accepted(operation)


@router.post(f"{_SET}/delete", status_code=202)
async def delete_instances(call: CallOf, target: Target, body: Document) -> Response:
    """Delete instances."""
    scale_set, vms = _choose(call, target, body, action="delete/action")
    by = call.caller.name
    operation = begin_removal(call.service, scale_set, vms, by=by) if vms else _nothing(call, scale_set)
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
    operation = (
        begin_action(call.service, vms, action, by=call.caller.name, skip_shutdown=skip_shutdown)
        if vms
        else _nothing(call, scale_set)
    )
    call.note(f"{TYPE}/{action.value}/action", target)
    return call.accepted(operation)


def _choose(
    call: Call, target: ResourceId, body: Mapping[str, Any] | None, *, action: str
) -> tuple[ScaleSet, list[VirtualMachine]]:
    scale_set = find_scale_set(call, target, action=action)
    present = instances_of(call.service, scale_set)
    chosen = read_instance_ids(body, known=numbers_of(present))
    return scale_set, [vm for vm in present if vm.id.name in chosen]


def _nothing(call: Call, scale_set: ScaleSet) -> Operation:
    """Return an operation on no instance: what is asked of an empty scale set succeeds."""

    async def rest() -> None:
        """Do nothing."""

    return call.service.operations.start(
        rest(), subscription=scale_set.id.subscription, location=location_of_set(scale_set)
    )


def _change(call: Call, old: ScaleSet, document: Mapping[str, Any]) -> Response:
    """Give a scale set another document; a changed model has a new version, which instances do not have."""
    changed = replace(old, document=document)
    if render_scale_set(changed) == render_scale_set(old):
        return JSONResponse(render_scale_set(old))
    running = call.service.operations.running_on(old.key)
    if running is not None:
        raise CloudError(
            409,
            "OperationNotAllowed",
            f"The operation 'createOrUpdate' is not allowed on scale set '{old.id.name}' since the operation"
            f" '{running.action}' ({running.id}) is in progress on it. Please wait and retry the request.",
        )
    if model_of(document) != model_of(old.document):
        changed = replace(changed, model_version=old.model_version + 1)
    present = instances_of(call.service, changed)
    staying = present[: capacity_of(document)]
    behind = [vm for vm in staying if vm.model_version != changed.model_version]
    if behind and upgrades_by_itself(document):
        begin_upgrade(call.service, changed, behind)
    return _scale(call, changed, status=200)


def _scale(call: Call, scale_set: ScaleSet, *, status: int) -> Response:
    operation = begin_scaling(call.service, scale_set, created=status == 201, by=call.caller.name)
    call.note(f"{TYPE}/write", scale_set.id)
    shown = call.service.cloud.find(ScaleSet, scale_set.key) or scale_set
    return call.accepted(operation, status=status, body=render_scale_set(shown))


def _list(call: Call, subscription: str, scope: str) -> Json:
    call.enter(subscription)
    found = [
        one
        for one in call.service.cloud.all(ScaleSet)
        if is_within(str(one.id), scope) and call.may(f"{TYPE}/read", one.id)
    ]
    return {"value": [render_scale_set(one) for one in found]}
