"""Subscriptions, tenants, regions, groups, resources and events as Resource Manager shows them; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from emulator.cloud.documents import Condition, find_value, parse_instant
from emulator.cloud.records import (
    ActivityEvent,
    Cloud,
    ResourceGroup,
    ScaleSet,
    StorageAccount,
    Subscription,
    VirtualMachine,
)
from emulator.cloud.resource_id import is_within
from emulator.cloud.settings import CloudKind, azure_document, azure_facts

REGION_NAMES: Mapping[str, str] = azure_facts()["regions"]


def subscription_document(subscription: Subscription) -> dict[str, Any]:
    """Return a subscription."""
    one = subscription
    return azure_document("subscription", id=one.id, tenant=one.tenant, name=one.name, state=one.state)


def tenant_document(tenant: str) -> dict[str, Any]:
    """Return a tenant."""
    return azure_document("tenant", tenant=tenant)


def location_document(subscription: str, name: str) -> dict[str, Any]:
    """Return a region."""
    shown = REGION_NAMES.get(name, name)
    return azure_document("region", subscription=subscription, name=name, shown=shown)


def group_document(group: ResourceGroup) -> dict[str, Any]:
    """Return a resource group."""
    state = "Deleting" if group.deleting else "Succeeded"
    facts = {"name": group.name, "location": group.location, "tags": dict(group.tags)}
    return azure_document("group", id=group.scope, state=state, **facts)


def provider_documents(
    subscription: str, kind: CloudKind, locations: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the resource providers; the console's is not registered in the China cloud (U5)."""
    return [
        {
            "id": f"/subscriptions/{subscription}/providers/{namespace}",
            "namespace": namespace,
            "registrationPolicy": "RegistrationRequired",
            "registrationState": "Registered" if is_available(namespace, kind) else "NotRegistered",
            "resourceTypes": [
                {
                    "resourceType": one,
                    "locations": [REGION_NAMES.get(name, name) for name in locations],
                    "apiVersions": provider["versions"],
                    "defaultApiVersion": provider["versions"][0],
                    "capabilities": "None",
                }
                for one in provider["types"]
            ],
        }
        for namespace, provider in azure_facts()["providers"].items()
    ]


def is_available(namespace: str, kind: CloudKind) -> bool:
    """Tell whether a provider can be registered in a cloud."""
    return kind is not CloudKind.CHINA or namespace.lower() != "microsoft.serialconsole"


Resource: TypeAlias = VirtualMachine | ScaleSet | StorageAccount


def resources_under(cloud: Cloud, scope: str) -> Iterator[Resource]:
    """Return the resources under `scope`, without instances of scale sets, which are parts of a resource."""
    every: list[Resource] = [*cloud.all(VirtualMachine), *cloud.all(ScaleSet), *cloud.all(StorageAccount)]
    return (one for one in every if is_within(str(one.id), scope) and one.id.parent is None)


def resource_document(resource: Resource) -> dict[str, Any]:
    """Return a resource as lists of all types show it."""
    shown: dict[str, Any] = {
        "id": str(resource.id),
        "name": resource.id.name,
        "type": resource.id.type,
        "location": resource.document.get("location", ""),
        "tags": resource.document.get("tags") or {},
    }
    return shown | {name: resource.document[name] for name in ("kind", "sku") if name in resource.document}


def meets(document: Mapping[str, Any], conditions: tuple[Condition, ...]) -> bool:
    """Tell whether the document of a resource or group meets every condition of a `$filter`."""
    tags = document["tags"] if isinstance(document["tags"], Mapping) else {}
    facts = {
        "resourcetype": {document["type"].lower()},
        "name": {document["name"].lower()},
        "location": {str(document["location"]).lower()},
        "resourcegroup": {document["id"].split("/")[4].lower()},
        "tagname": {str(name).lower() for name in tags},
        "tagvalue": {str(value).lower() for value in tags.values()},
    }
    return all(one.operator == "eq" and one.value.lower() in facts[one.name] for one in conditions)


FILTERS = frozenset(
    {"eventtimestamp", "resourceuri", "resourcegroupname", "resourceprovider", "caller", "eventchannels",
     "correlationid", "status"}
)  # fmt: skip


def selected(
    events: list[ActivityEvent], conditions: tuple[Condition, ...], *, scope: str
) -> list[ActivityEvent]:
    """Return the events under `scope` that meet the conditions, newest first."""
    limits = [
        (one.operator, parse_instant(one.value))
        for one in conditions
        if one.name == "eventtimestamp" and one.operator != "eq"
    ]
    found = [
        event
        for event in events
        if is_within(event.scope, scope)
        and all(event.at >= limit if operator == "ge" else event.at <= limit for operator, limit in limits)
        and _meets(event, conditions)
    ]
    return sorted(found, key=lambda event: event.at, reverse=True)


def event_document(event: ActivityEvent) -> dict[str, Any]:
    """Return an event."""
    claim = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn" if "@" in event.caller else "appid"
    person = "http://schemas.microsoft.com/identity/claims/objectidentifier"
    return azure_document(
        "event",
        id=event.id,
        scope=event.scope,
        group=_part(event.scope, 4),
        subscription=_part(event.scope, 2),
        operation=event.operation,
        provider=event.operation.split("/")[0],
        kind=event.operation.rpartition("/")[0],
        status="Succeeded" if event.succeeded else "Failed",
        result="Success" if event.succeeded else "Failure",
        level="Informational" if event.succeeded else "Error",
        http_status=event.status,
        caller=event.caller,
        claims={claim: event.caller, person: event.caller_id, "ipaddr": event.address},
        address=event.address,
        correlation=event.correlation,
        ticks=int(event.at.timestamp()),
        stamp=event.at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
    )


def _part(scope: str, index: int) -> str:
    """Return a part of a scope: 2 is the subscription, 4 the resource group; "" if it has none."""
    parts = scope.split("/")
    return parts[index] if len(parts) > index else ""


def _meets(event: ActivityEvent, conditions: tuple[Condition, ...]) -> bool:
    facts = {
        "resourcegroupname": _part(event.scope, 4),
        "resourceprovider": event.operation.split("/")[0],
        "caller": event.caller,
        "correlationid": event.correlation,
        "status": "Succeeded" if event.succeeded else "Failed",
    }
    wanted = find_value(conditions, "resourceuri")
    return (wanted is None or is_within(event.scope, wanted)) and all(
        facts[one.name].lower() == one.value.lower() for one in conditions if one.name in facts
    )
