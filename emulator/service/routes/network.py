"""Microsoft.Network: the little that `az vm show` and `az vm list --show-details` ask of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from emulator.cloud.compute import network_interfaces
from emulator.cloud.resource_id import group_scope, subscription_scope
from emulator.errors import CloudError
from emulator.service.compute.calls import CallOf, ResourceName, SubscriptionName
from emulator.service.core.routing import arm_router

_PROVIDER = "providers/Microsoft.Network"
_IN_SUBSCRIPTION = f"/subscriptions/{{subscription}}/{_PROVIDER}"
_IN_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/{_PROVIDER}"

router: APIRouter = arm_router()
router.tags = ["network"]


@router.get(f"{_IN_SUBSCRIPTION}/networkInterfaces")
async def list_network_interfaces(subscription: SubscriptionName, call: CallOf) -> dict[str, Any]:
    """List the network interfaces of a subscription that the caller may see."""
    call.enter(subscription)
    return {"value": _seen(call, subscription_scope(subscription))}


@router.get(f"{_IN_GROUP}/networkInterfaces")
async def list_group_interfaces(
    subscription: SubscriptionName, group: ResourceName, call: CallOf
) -> dict[str, Any]:
    """List the network interfaces of a group that the caller may see."""
    call.enter(subscription)
    call.require_group(subscription, group)
    return {"value": _seen(call, group_scope(subscription, group))}


@router.get(f"{_IN_GROUP}/networkInterfaces/{{name}}")
async def read_network_interface(
    subscription: SubscriptionName, group: ResourceName, name: ResourceName, call: CallOf
) -> dict[str, Any]:
    """Show a network interface."""
    scope = f"{group_scope(subscription, group)}/{_PROVIDER}/networkInterfaces/{name}"
    call.authorize("Microsoft.Network/networkInterfaces/read", scope)
    for one in network_interfaces(call.service.cloud, within=group_scope(subscription, group)):
        if one["name"].lower() == name.lower():
            return one
    raise CloudError(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.Network/networkInterfaces/{name}' under resource group '{group}' was not"
        " found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


@router.get(f"{_IN_SUBSCRIPTION}/publicIPAddresses")
async def list_public_addresses(subscription: SubscriptionName, call: CallOf) -> dict[str, Any]:
    """List no public addresses: guests have no network."""
    call.enter(subscription)
    return {"value": []}


def _seen(call: CallOf, scope: str) -> list[dict[str, Any]]:
    found = network_interfaces(call.service.cloud, within=scope)
    return [one for one in found if call.may("Microsoft.Network/networkInterfaces/read", one["id"])]
