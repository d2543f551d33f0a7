"""Subscriptions, tenants, regions, providers, and lists of resources of any type (docs/facts/azure.md 5)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from emulator.cloud.documents import parse_filter
from emulator.cloud.records import Subscription
from emulator.cloud.resource_id import group_scope, subscription_scope
from emulator.cloud.roles import is_allowed, sees_subscription
from emulator.cloud.subscription_documents import (
    is_available,
    location_document,
    meets,
    provider_documents,
    resource_document,
    resources_under,
    subscription_document,
    tenant_document,
)
from emulator.errors import CloudError
from emulator.service.core.context import Service, ServiceOf
from emulator.service.core.routing import arm_router
from emulator.service.identity.authentication import (
    Caller,
    authorize,
    authorize_member,
    require_group,
    require_subscription,
)

FILTERS = frozenset({"resourcetype", "name", "location", "resourcegroup", "tagname", "tagvalue"})
Filter = Annotated[str | None, Query(alias="$filter")]
router = arm_router()
router.tags = ["subscriptions"]


@router.get("/subscriptions")
async def list_subscriptions(service: ServiceOf, caller: Caller) -> dict[str, Any]:
    """Return the subscriptions of the caller's tenant in which the caller has a role."""
    found = [
        subscription_document(one)
        for one in service.cloud.all(Subscription)
        if one.tenant.lower() == caller.tenant.lower()
        and sees_subscription(service.cloud, caller.principal, one.id)
    ]
    return {"value": found, "count": {"type": "Total", "value": len(found)}}


@router.get("/subscriptions/{subscription}")
async def show_subscription(service: ServiceOf, caller: Caller, subscription: str) -> dict[str, Any]:
    """Return a subscription."""
    authorize_member(service, caller, subscription)
    return subscription_document(require_subscription(service, caller, subscription))


@router.get("/subscriptions/{subscription}/locations")
async def list_locations(service: ServiceOf, caller: Caller, subscription: str) -> dict[str, Any]:
    """Return the regions of this cloud."""
    authorize_member(service, caller, subscription)
    known = require_subscription(service, caller, subscription).id
    return {"value": [location_document(known, name) for name in service.settings.cloud.locations]}


@router.get("/tenants")
async def list_tenants(caller: Caller) -> dict[str, Any]:
    """Return the caller's tenant."""
    return {"value": [tenant_document(caller.tenant)]}


@router.get("/subscriptions/{subscription}/providers")
async def list_providers(service: ServiceOf, caller: Caller, subscription: str) -> dict[str, Any]:
    """Return the resource providers."""
    authorize_member(service, caller, subscription)
    return {"value": _providers(service, subscription)}


@router.get("/subscriptions/{subscription}/providers/{namespace}")
async def show_provider(
    service: ServiceOf, caller: Caller, subscription: str, namespace: str
) -> dict[str, Any]:
    """Return a resource provider: its types, and which api-versions they have."""
    authorize_member(service, caller, subscription)
    return _provider(service, subscription, namespace)


@router.post("/subscriptions/{subscription}/providers/{namespace}/register")
async def register_provider(
    service: ServiceOf, caller: Caller, subscription: str, namespace: str
) -> dict[str, Any]:
    """Register a provider: all that there are already are, or can't be."""
    scope = subscription_scope(subscription)
    authorize(service, caller, f"{namespace[:80]}/register/action", scope=scope)
    found = _provider(service, subscription, namespace)
    if not is_available(namespace, service.settings.kind):
        raise CloudError(
            409,
            "SubscriptionNotRegistered",
            f"{found['namespace']} is not yet available in the cloud '{service.settings.cloud.name}'.",
        )
    return found


@router.get("/subscriptions/{subscription}/resources")
async def list_resources(
    service: ServiceOf, caller: Caller, subscription: str, chosen: Filter = None
) -> dict[str, Any]:
    """Return the resources of a subscription that the caller may read."""
    authorize_member(service, caller, subscription)
    return _resources(service, caller, subscription_scope(subscription), chosen)


@router.get("/subscriptions/{subscription}/resourceGroups/{group}/resources")
async def list_group_resources(
    service: ServiceOf, caller: Caller, subscription: str, group: str, chosen: Filter = None
) -> dict[str, Any]:
    """Return the resources of a group that the caller may read."""
    authorize_member(service, caller, subscription)
    require_group(service, subscription, group)
    return _resources(service, caller, group_scope(subscription, group), chosen)


def _resources(service: Service, caller: Caller, scope: str, chosen: str | None) -> dict[str, Any]:
    conditions = parse_filter(chosen, known=FILTERS)
    readable = (
        resource_document(one)
        for one in resources_under(service.cloud, scope)
        if is_allowed(service.cloud, caller.principal, action=f"{one.id.type}/read", scope=str(one.id))
    )
    return {"value": [one for one in readable if meets(one, conditions)]}


def _providers(service: Service, subscription: str) -> list[dict[str, Any]]:
    return provider_documents(subscription, service.settings.kind, service.settings.cloud.locations)


def _provider(service: Service, subscription: str, namespace: str) -> dict[str, Any]:
    for one in _providers(service, subscription):
        if str(one["namespace"]).lower() == namespace.lower():
            return one
    raise CloudError(
        404, "InvalidResourceNamespace", f"The resource namespace '{namespace[:80]}' is invalid."
    )
