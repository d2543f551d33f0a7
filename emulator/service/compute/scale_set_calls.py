"""What calls do to scale sets: instances come and go, and an upgrade gives them a new model (U12)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from emulator.clock import pause
from emulator.cloud.compute import capacity_of, instance_document, with_capacity
from emulator.cloud.documents import table
from emulator.cloud.records import PowerState, ProvisioningState, ScaleSet, VirtualMachine
from emulator.cloud.resource_id import VM_TYPE
from emulator.service.compute.calls import plan, replan
from emulator.service.compute.power import begin_delete, require_free, start_operation
from emulator.service.core.call import Call
from emulator.service.core.context import Service
from emulator.service.parts.operations import Operation


def instances_of(service: Service, scale_set: ScaleSet) -> list[VirtualMachine]:
    """Return the instances of `scale_set` in the order of their numbers."""
    machines = service.cloud.all(VirtualMachine)
    own = [vm for vm in machines if vm.scale_set is not None and vm.scale_set.key == scale_set.key]
    return sorted(own, key=lambda vm: int(vm.id.name))


def begin_scaling(call: Call, scale_set: ScaleSet, *, created: bool) -> Operation:
    """Store `scale_set`, new or changed, and add or delete instances to reach its capacity.

    Raises:
        CloudError: 409; an operation is in progress on an instance that must be deleted.
    """
    service, present = call.service, instances_of(call.service, scale_set)
    wanted = capacity_of(scale_set.document)
    surplus = present[wanted:]
    for vm in surplus:
        require_free(service, vm, "delete")
    state = ProvisioningState.CREATING if created else ProvisioningState.UPDATING
    service.cloud.put(replace(scale_set, provisioning=state))
    fresh = _new_instances(service, scale_set, present=present, count=wanted - len(present))
    for vm in fresh:
        service.cloud.put(vm)
    deletion = begin_delete(call, surplus, on=scale_set) if surplus else None

    async def settle() -> None:
        await pause(service.settings.operation_s)
        if deletion is not None:
            await deletion.over.wait()
        for vm in fresh:
            _settle(service, vm, power=PowerState.RUNNING)
        _settle_set(service, scale_set)

    keys = (scale_set.key, *(vm.key for vm in fresh))
    return start_operation(service, settle(), on=scale_set, action="createOrUpdate", keys=keys)


def begin_upgrade(call: Call, scale_set: ScaleSet, vms: Sequence[VirtualMachine]) -> Operation:
    """Give `vms` the current model of `scale_set`, not their guests; raises CloudError 409 if one is busy."""
    service = call.service
    for vm in vms:
        require_free(service, vm, "manualupgrade")
    for vm in vms:
        document = instance_document(scale_set, vm.id.name)
        upgraded = replace(
            vm,
            document=document,
            guest=replan(vm, document),
            model_version=scale_set.model_version,
            provisioning=ProvisioningState.UPDATING,
            changed=service.now(),
        )
        service.cloud.put(upgraded)

    async def settle() -> None:
        await pause(service.settings.operation_s)
        for vm in vms:
            _settle(service, vm, power=vm.power)

    keys = [vm.key for vm in vms]
    return start_operation(service, settle(), on=scale_set, action="manualupgrade", keys=keys)


def begin_removal(call: Call, scale_set: ScaleSet, vms: Sequence[VirtualMachine]) -> Operation:
    """Delete `vms` and reduce the capacity of `scale_set` accordingly."""
    leaving = [vm for vm in vms if vm.provisioning is not ProvisioningState.DELETING]
    capacity = max(0, capacity_of(scale_set.document) - len(leaving))
    call.service.cloud.put(replace(scale_set, document=with_capacity(scale_set.document, capacity)))
    return begin_delete(call, vms, on=scale_set)


def begin_set_delete(call: Call, scale_set: ScaleSet) -> Operation:
    """Delete `scale_set` with all its instances."""
    service, present = call.service, instances_of(call.service, scale_set)
    service.cloud.put(replace(scale_set, provisioning=ProvisioningState.DELETING))
    deletion = begin_delete(call, present, on=scale_set)

    async def finish() -> None:
        await deletion.over.wait()
        for vm in instances_of(service, scale_set):  # one may have been made meanwhile
            await service.fleet.discard(vm.key)
            service.cloud.remove(vm)
        found = service.cloud.find(ScaleSet, scale_set.key)
        if found is not None:
            service.cloud.remove(found)

    return start_operation(service, finish(), on=scale_set, action="delete", keys=(scale_set.key,))


def _new_instances(
    service: Service, scale_set: ScaleSet, *, present: Sequence[VirtualMachine], count: int
) -> list[VirtualMachine]:
    first = 1 + max((int(vm.id.name) for vm in present), default=-1)
    return [_new_instance(service, scale_set, str(number)) for number in range(first, first + count)]


def _new_instance(service: Service, scale_set: ScaleSet, number: str) -> VirtualMachine:
    document = instance_document(scale_set, number)
    return VirtualMachine(
        id=scale_set.id.child(VM_TYPE, number),
        document=document,
        vm_id=str(uuid.uuid4()),
        created=service.now(),
        guest=plan(table(document, "properties")),
        power=PowerState.STARTING,
        provisioning=ProvisioningState.CREATING,
        model_version=scale_set.model_version,
    )


def _settle(service: Service, vm: VirtualMachine, *, power: PowerState) -> None:
    found = service.cloud.find(VirtualMachine, vm.key)
    if found is not None and found.provisioning is not ProvisioningState.DELETING:
        state = ProvisioningState.SUCCEEDED
        service.cloud.put(replace(found, power=power, provisioning=state, changed=service.now()))


def _settle_set(service: Service, scale_set: ScaleSet) -> None:
    found = service.cloud.find(ScaleSet, scale_set.key)
    if found is not None and found.provisioning is not ProvisioningState.DELETING:
        service.cloud.put(replace(found, provisioning=ProvisioningState.SUCCEEDED))
