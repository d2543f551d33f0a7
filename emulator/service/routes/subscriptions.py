"""Subscriptions, tenants, regions, providers, lists of any resources, and the activity log.

See docs/facts/azure.md 5, 7.
"""

from __future__ import annotations

from emulator.cloud.compute import Json
from emulator.cloud.documents import parse_filter
from emulator.cloud.records import ActivityEvent, Subscription
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import subscription_scope
from emulator.cloud.roles import sees_subscription
from emulator.cloud.subscription_documents import FILTERS as EVENT_FILTERS
from emulator.cloud.subscription_documents import (
    event_document,
    is_available,
    location_document,
    meets,
    provider_documents,
    resource_document,
    resources_under,
    selected,
    subscription_document,
    tenant_document,
)
from emulator.service.compute.calls import Filter
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import arm_router

FILTERS = frozenset({"resourcetype", "name", "location", "resourcegroup", "tagname", "tagvalue"})
router = arm_router()
router.tags = ["subscriptions"]
activity = arm_router()
activity.tags = ["activity"]


@router.get("/subscriptions")
async def list_subscriptions(call: CallOf) -> Json:
    """Return the subscriptions of the caller's tenant in which the caller has a role."""
    cloud, caller = call.service.cloud, call.caller
    found = [
        subscription_document(one)
        for one in cloud.all(Subscription)
        if one.tenant.lower() == caller.tenant.lower() and sees_subscription(cloud, caller.principal, one.id)
    ]
    return {"value": found, "count": {"type": "Total", "value": len(found)}}


@router.get("/subscriptions/{subscription}")
async def show_subscription(call: CallOf, subscription: str) -> Json:
    """Return a subscription."""
    call.enter(subscription)
    return subscription_document(call.require_subscription(subscription))


@router.get("/subscriptions/{subscription}/locations")
async def list_locations(call: CallOf, subscription: str) -> Json:
    """Return the regions of this cloud."""
    call.enter(subscription)
    known = call.require_subscription(subscription).id
    return {"value": [location_document(known, name) for name in call.service.settings.cloud.locations]}


@router.get("/tenants")
async def list_tenants(call: CallOf) -> Json:
    """Return the caller's tenant."""
    return {"value": [tenant_document(call.caller.tenant)]}


@router.get("/subscriptions/{subscription}/providers")
async def list_providers(call: CallOf, subscription: str) -> Json:
    """Return the resource providers."""
    call.enter(subscription)
    return {"value": _providers(call, subscription)}


@router.get("/subscriptions/{subscription}/providers/{namespace}")
async def show_provider(call: CallOf, subscription: str, namespace: str) -> Json:
    """Return a resource provider: its types and their api-versions."""
    call.enter(subscription)
    return _provider(call, subscription, namespace)


@router.post("/subscriptions/{subscription}/providers/{namespace}/register")
async def register_provider(call: CallOf, subscription: str, namespace: str) -> Json:
    """Register a provider; every provider of this cloud either is registered or is not available here."""
    call.authorize(f"{namespace[:80]}/register/action", subscription_scope(subscription))
    found = _provider(call, subscription, namespace)
    settings = call.service.settings
    if not is_available(namespace, settings.kind):
        raise refusal("SubscriptionNotRegistered", namespace=found["namespace"], cloud=settings.cloud.name)
    return found


@router.get("/subscriptions/{subscription}/resources")
async def list_resources(call: CallOf, subscription: str, chosen: Filter = None) -> Json:
    """Return the resources of a subscription that the caller may read."""
    return _resources(call, call.enter(subscription), chosen)


@router.get("/subscriptions/{subscription}/resourceGroups/{group}/resources")
async def list_group_resources(call: CallOf, subscription: str, group: str, chosen: Filter = None) -> Json:
    """Return the resources of a group that the caller may read."""
    return _resources(call, call.enter(subscription, group), chosen)


@activity.get("/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values")
async def list_events(call: CallOf, subscription: str, chosen: Filter = None) -> Json:
    """Return the events of a subscription that meet the filter, newest first."""
    scope = subscription_scope(subscription)
    call.authorize("Microsoft.Insights/eventtypes/values/Read", scope)
    conditions = parse_filter(chosen, known=EVENT_FILTERS)
    found = selected(call.service.cloud.all(ActivityEvent), conditions, scope=scope)
    return {"value": [event_document(one) for one in found]}


def _resources(call: Call, scope: str, chosen: str | None) -> Json:
    conditions = parse_filter(chosen, known=FILTERS)
    readable = (
        resource_document(one)
        for one in resources_under(call.service.cloud, scope)
        if call.may(f"{one.id.type}/read", one.id)
    )
    return {"value": [one for one in readable if meets(one, conditions)]}


def _providers(call: Call, subscription: str) -> list[Json]:
    settings = call.service.settings
    return provider_documents(subscription, settings.kind, settings.cloud.locations)


def _provider(call: Call, subscription: str, namespace: str) -> Json:
    for one in _providers(call, subscription):
        if str(one["namespace"]).lower() == namespace.lower():
            return one
    raise refusal("InvalidResourceNamespace", namespace=namespace[:80])
