"""The state of long-running operations: polled by their own URL, or by the Location of their 202."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from emulator.cloud.refusals import refusal
from emulator.service.compute.calls import ResourceName, SubscriptionName
from emulator.service.core.call import RETRY_AFTER_S, CallOf
from emulator.service.core.context import arm_router
from emulator.service.parts.operations import OperationStatus

_OPERATIONS = "/subscriptions/{subscription}/providers/{provider}/locations/{location}/operations/{name}"

router: APIRouter = arm_router()


@router.get(_OPERATIONS)
async def read_operation(
    subscription: SubscriptionName,
    provider: ResourceName,
    location: ResourceName,
    name: ResourceName,
    call: CallOf,
    *,
    monitor: Annotated[bool, Query()] = False,
) -> Response:
    """Tell how far an operation is; with `monitor=true`, 202 until its end, then 200 or its failure.

    As with Azure, whoever started it needs no further right to read it.
    """
    operation = call.find_operation(name, subscription)
    if operation is None:
        raise refusal("NotFound.operation", provider=provider, location=location, name=name)
    running = operation.status is OperationStatus.IN_PROGRESS
    headers = {"Retry-After": RETRY_AFTER_S} if running else {}
    if not monitor:
        return JSONResponse(operation.body(), headers=headers)
    if running:
        return call.accepted(operation)
    if operation.error is not None:
        raise operation.error
    return Response(status_code=200)
