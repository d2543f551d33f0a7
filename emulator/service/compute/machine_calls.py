"""VMs and instances of scale sets as calls find, show and change them: one way for both (U4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from emulator.cloud.compute import Body, render_instance, render_instance_view, render_vm
from emulator.cloud.console_access import resource_not_found
from emulator.cloud.documents import table
from emulator.cloud.guest_plan import GuestPlan, plan_guest
from emulator.cloud.records import ScaleSet, VirtualMachine
from emulator.cloud.resource_id import ResourceId
from emulator.errors import CloudError
from emulator.images import load_catalog
from emulator.service.compute.calls import Call
from emulator.service.compute.power import begin_change


def find_machine(call: Call, target: ResourceId, *, action: str) -> VirtualMachine:
    """Return the VM or instance that the caller may do `action` ("read", "start/action") to.

    Raises:
        CloudError: 401, 403 or 404, in this order.
    """
    call.authorize(f"{target.type}/{action}", target)
    found = call.service.cloud.find(VirtualMachine, target.key)
    if found is not None:
        return found
    if target.parent is not None and call.service.cloud.find(ScaleSet, target.parent.key) is not None:
        raise CloudError(404, "NotFound", "The entity was not found in this Azure location.")
    raise resource_not_found(target)


def find_scale_set(call: Call, target: ResourceId, *, action: str) -> ScaleSet:
    """Return the scale set that the caller may do `action` to.

    Raises:
        CloudError: 401, 403 or 404.
    """
    call.authorize(f"{target.type}/{action}", target)
    found = call.service.cloud.find(ScaleSet, target.key)
    if found is None:
        raise resource_not_found(target)
    return found


def show_machine(call: Call, vm: VirtualMachine, *, with_view: bool = False) -> Body:
    """Return what a GET of `vm` answers."""
    view = render_instance_view(vm, now=call.service.now()) if with_view else None
    scale_set = None if vm.scale_set is None else call.service.cloud.find(ScaleSet, vm.scale_set.key)
    return render_vm(vm, view=view) if scale_set is None else render_instance(vm, scale_set, view=view)


def change_machine(call: Call, vm: VirtualMachine, document: Mapping[str, Any]) -> Response:
    """Give `vm` another document; one that says what is so already changes nothing.

    Raises:
        CloudError: 409; something runs on it.
    """
    changed = replace(vm, document=document, guest=replan(vm, document))
    if render_vm(changed) == render_vm(vm):
        return JSONResponse(show_machine(call, vm))
    operation = begin_change(call.service, changed, created=False)
    call.note(f"{vm.id.type}/write", vm.id)
    shown = call.service.cloud.find(VirtualMachine, vm.key) or changed
    return call.accepted(operation, status=200, body=show_machine(call, shown))


def replan(vm: VirtualMachine, document: Mapping[str, Any]) -> GuestPlan:
    """Return what is to run behind `vm` with `document`: something else only if that asks for it."""
    before = plan(table(vm.document, "properties"))
    after = plan(table(document, "properties"))
    return vm.guest if before == after else after


def plan(properties: Mapping[str, Any]) -> GuestPlan:
    """Return what is to run behind a VM with `properties`."""
    return plan_guest(properties, known_images=_known_images())


@cache
def _known_images() -> frozenset[str]:
    return frozenset(load_catalog().entries)
