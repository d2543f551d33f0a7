"""The activity log: who did what to which resource (docs/facts/azure.md 8 "Audit")."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from emulator.cloud.records import ActivityEvent, Cloud

KEPT_MAX = 10_000


class ActivityLog:
    """Writes events into the cloud's records; the oldest go where there are too many."""

    def __init__(self, cloud: Cloud, now: Callable[[], datetime]) -> None:
        self._cloud = cloud
        self._now = now

    def note(
        self,
        operation: str,
        *,
        scope: str,
        caller: str,
        caller_id: str,
        address: str,
        succeeded: bool = True,
        status: str = "OK",
    ) -> ActivityEvent:
        """Add one event and return it.

        Args:
            operation: Azure's operation name, in any case.
            scope: resource id.
            caller: upn or app id.
            caller_id: object id.
            address: the caller's IP address.
            succeeded: how it ended.
            status: HTTP status, with a reason if there is one.
        """
        event = ActivityEvent(
            id=str(uuid.uuid4()),
            at=self._now(),
            operation=operation.upper(),
            scope=scope,
            caller=caller,
            caller_id=caller_id,
            address=address,
            succeeded=succeeded,
            status=status,
            correlation=str(uuid.uuid4()),
        )
        self._cloud.put(event)
        events = self._cloud.all(ActivityEvent)
        if len(events) > KEPT_MAX:
            self._cloud.remove(events[0])
        return event
