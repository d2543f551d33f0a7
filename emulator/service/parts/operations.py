"""Long-running operations, which continue after their 202 (docs/facts/azure.md 4)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from emulator.errors import CloudError, EmulatorError

OPERATIONS_MAX = 1000
_LOG = logging.getLogger(__name__)


class OperationStatus(StrEnum):
    """How far an operation is."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        id: GUID.
        subscription: where it was started; no other one shows it.
        location: region in its URL.
        action: its action ("restart").
        resources: keys of the resources it works on.
        started: when it began, UTC.
        ended: when it ended, UTC, or None.
        status: how far it is.
        error: why it failed.
        over: set when it has ended.
        callers: object ids of those who were told of it.
    """

    id: str
    subscription: str
    location: str
    action: str
    resources: frozenset[str]
    started: datetime
    ended: datetime | None = None
    status: OperationStatus = OperationStatus.IN_PROGRESS
    error: CloudError | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    callers: set[str] = field(default_factory=set)

    def body(self) -> dict[str, Any]:
        """Return the answer to a poll."""
        shown: dict[str, Any] = {
            "startTime": self.started.isoformat(),
            "status": self.status.value,
            "name": self.id,
        }
        if self.ended is not None:
            shown["endTime"] = self.ended.isoformat()
        if self.error is not None:
            shown["error"] = {"code": self.error.code, "message": self.error.message}
        return shown


class Operations:
    """Runs operations as tasks of the service's loop and remembers how they ended."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._operations: OrderedDict[str, Operation] = OrderedDict()
        self._busy: dict[str, Operation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self,
        work: Coroutine[Any, Any, None],
        *,
        subscription: str,
        location: str,
        action: str = "",
        resources: Iterable[str] = (),
    ) -> Operation:
        """Begin `work` and return its operation, which fails if `work` raises an error.

        `resources` (keys) count as busy with this operation from now on, even if another one is running.
        """
        operation = Operation(
            id=str(uuid.uuid4()),
            subscription=subscription.lower(),
            location=location,
            action=action,
            resources=frozenset(resources),
            started=self._now(),
        )
        self._operations[operation.id] = operation
        self._busy.update(dict.fromkeys(operation.resources, operation))
        own = [one for one in self._operations.values() if one.subscription == operation.subscription]
        for one in [one for one in own if one.ended is not None][: max(0, len(own) - OPERATIONS_MAX)]:
            del self._operations[one.id]
        task = asyncio.create_task(self._run(operation, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return operation

    def find(self, operation_id: str, *, subscription: str) -> Operation | None:
        """Return an operation of the subscription, or None."""
        found = self._operations.get(operation_id.lower())
        return found if found is not None and found.subscription == subscription.lower() else None

    def running_on(self, key: str) -> Operation | None:
        """Return the latest operation on the resource with that key, or None once it has ended."""
        return self._busy.get(key)

    async def close(self) -> None:
        """Cancel the operations in progress and wait for their ends."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, operation: Operation, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except CloudError as error:
            operation.error = error
        except EmulatorError as error:
            operation.error = CloudError(500, "InternalExecutionError", str(error))
            _LOG.warning("operation %s failed: %s", operation.id, error)
        except Exception:  # noqa: BLE001  # a bug of ours is reported as such, not as success
            operation.error = CloudError(500, "InternalExecutionError", "An internal error occurred.")
            _LOG.exception("operation %s failed", operation.id)
        except asyncio.CancelledError:
            operation.error = CloudError(409, "OperationCanceled", "The service was stopped.")
            raise
        finally:
            failed = operation.error is not None
            operation.status = OperationStatus.FAILED if failed else OperationStatus.SUCCEEDED
            operation.ended = self._now()
            self._busy = {key: one for key, one in self._busy.items() if one is not operation}
            operation.over.set()
