"""Microsoft.Network: the few requests that `az vm show` and `az vm list --show-details` make."""

from __future__ import annotations

from fastapi import APIRouter

from emulator.cloud.compute import Json, network_interfaces
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import group_scope
from emulator.service.compute.calls import ResourceName, SubscriptionName, add_lists
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import arm_router

_PROVIDER = "providers/Microsoft.Network"
_READ = "Microsoft.Network/networkInterfaces/read"
_IN_SUBSCRIPTION = f"/subscriptions/{{subscription}}/{_PROVIDER}"
_IN_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/{_PROVIDER}"

router: APIRouter = arm_router()
router.tags = ["network"]


@router.get(f"{_IN_GROUP}/networkInterfaces/{{name}}")
async def read_network_interface(
    subscription: SubscriptionName, group: ResourceName, name: ResourceName, call: CallOf
) -> Json:
    """Show a network interface."""
    scope = group_scope(subscription, group)
    call.authorize(_READ, f"{scope}/{_PROVIDER}/networkInterfaces/{name}")
    for one in network_interfaces(call.service.cloud, within=scope):
        if one["name"].lower() == name.lower():
            return one
    raise refusal("ResourceNotFound", type="Microsoft.Network/networkInterfaces", name=name, group=group)


@router.get(f"{_IN_SUBSCRIPTION}/publicIPAddresses")
async def list_public_addresses(subscription: SubscriptionName, call: CallOf) -> Json:
    """List no public addresses: guests have no network."""
    call.enter(subscription)
    return {"value": []}


def _list(call: Call, scope: str) -> Json:
    found = network_interfaces(call.service.cloud, within=scope)
    return {"value": [one for one in found if call.may(_READ, one["id"])]}


add_lists(router, "Microsoft.Network/networkInterfaces", _list)
