"""Lines of the activity log as Azure Monitor shows them (azure.md 8 "Audit"); pure."""

from __future__ import annotations

from typing import Any

from emulator.cloud.filters import Condition, find_value, parse_instant
from emulator.cloud.records import ActivityEvent
from emulator.cloud.resource_id import is_within

FILTERS = frozenset(
    {"eventtimestamp", "resourceuri", "resourcegroupname", "resourceprovider", "caller", "eventchannels",
     "correlationid", "status"}
)  # fmt: skip


def selected(
    events: list[ActivityEvent], conditions: tuple[Condition, ...], *, scope: str
) -> list[ActivityEvent]:
    """Return the events under `scope` that meet the conditions, newest first."""
    after = [
        parse_instant(one.value) for one in conditions if (one.name, one.operator) == ("eventtimestamp", "ge")
    ]
    before = [
        parse_instant(one.value) for one in conditions if (one.name, one.operator) == ("eventtimestamp", "le")
    ]
    found = [
        event
        for event in events
        if is_within(event.scope, scope)
        and all(event.at >= limit for limit in after)
        and all(event.at <= limit for limit in before)
        and _meets(event, conditions)
    ]
    return sorted(found, key=lambda event: event.at, reverse=True)


def event_document(event: ActivityEvent) -> dict[str, Any]:
    """Return an event."""
    words = event.scope.split("/")
    action = event.operation.split("/")
    stamp = event.at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    status = "Succeeded" if event.succeeded else "Failed"
    claim = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn" if "@" in event.caller else "appid"
    return {
        "id": f"{event.scope}/events/{event.id}/ticks/{int(event.at.timestamp())}",
        "eventDataId": event.id,
        "correlationId": event.correlation,
        "operationId": event.correlation,
        "eventName": {"value": "EndRequest", "localizedValue": "End request"},
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "level": "Informational" if event.succeeded else "Error",
        "operationName": {"value": event.operation, "localizedValue": event.operation},
        "resourceGroupName": words[4] if len(words) > 4 else "",
        "resourceId": event.scope,
        "resourceProviderName": {"value": action[0], "localizedValue": action[0]},
        "resourceType": {"value": "/".join(action[:-1]), "localizedValue": "/".join(action[:-1])},
        "subscriptionId": words[2] if len(words) > 2 else "",
        "status": {"value": status, "localizedValue": status},
        "subStatus": {"value": event.status, "localizedValue": event.status},
        "resultType": "Success" if event.succeeded else "Failure",
        "caller": event.caller,
        "claims": {
            claim: event.caller,
            "http://schemas.microsoft.com/identity/claims/objectidentifier": event.caller_id,
            "ipaddr": event.address,
        },
        "authorization": {"action": event.operation, "scope": event.scope},
        "httpRequest": {
            "clientRequestId": event.correlation,
            "clientIpAddress": event.address,
            "method": "POST",
        },
        "eventTimestamp": stamp,
        "submissionTimestamp": stamp,
        "description": "",
        "properties": {"statusCode": event.status, "entity": event.scope},
    }


def _meets(event: ActivityEvent, conditions: tuple[Condition, ...]) -> bool:
    words = event.scope.split("/")
    facts = {
        "resourcegroupname": words[4] if len(words) > 4 else "",
        "resourceprovider": event.operation.split("/")[0],
        "caller": event.caller,
        "correlationid": event.correlation,
        "status": "Succeeded" if event.succeeded else "Failed",
    }
    wanted = find_value(conditions, "resourceuri")
    return (wanted is None or is_within(event.scope, wanted)) and all(
        facts[one.name].lower() == one.value.lower() for one in conditions if one.name in facts
    )
