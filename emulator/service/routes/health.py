"""The service's health, the authority to trust, and metrics."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from emulator.cloud.refusals import refusal
from emulator.service.core.context import ServiceOf
from emulator.service.parts.metrics import CONTENT_TYPE

router = APIRouter(tags=["lab"])


@router.get("/health")
async def health(service: ServiceOf) -> Response:
    """Answer 200 if guests can be reached and state can be saved, otherwise 503 with the reasons."""
    problems = [*await service.fleet.problems(), *service.troubles()]
    status = "unhealthy" if problems else "healthy"
    body = {"healthy": not problems, "status": status, "problems": problems}
    return JSONResponse(body, 503 if problems else 200)


@router.get("/ca.pem")
async def authority(service: ServiceOf) -> Response:
    """Return the certificate of this service's authority."""
    if not service.ca_pem:
        raise refusal("NotFound.authority")
    return Response(service.ca_pem, media_type="application/x-pem-file")


@router.get("/metrics")
async def metrics(service: ServiceOf) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(service.metrics.render(), media_type=None, headers={"Content-Type": CONTENT_TYPE})
