"""The activity log, as `az monitor activity-log list` reads it (docs/facts/azure.md 7)."""

from __future__ import annotations

from typing import Any

from emulator.cloud.documents import parse_filter
from emulator.cloud.records import ActivityEvent
from emulator.cloud.resource_id import subscription_scope
from emulator.cloud.subscription_documents import FILTERS, event_document, selected
from emulator.service.compute.calls import CallOf, Filter
from emulator.service.core.context import arm_router

router = arm_router()


@router.get(
    "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values",
    tags=["activity"],
)
async def list_events(call: CallOf, subscription: str, chosen: Filter = None) -> dict[str, Any]:
    """Return the events of a subscription that meet the filter, newest first."""
    scope = subscription_scope(subscription)
    call.authorize("Microsoft.Insights/eventtypes/values/Read", scope)
    conditions = parse_filter(chosen, known=FILTERS)
    found = selected(call.service.cloud.all(ActivityEvent), conditions, scope=scope)
    return {"value": [event_document(one) for one in found]}
