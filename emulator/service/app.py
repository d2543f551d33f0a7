"""The application: all routes on one port, and one form for every error."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from emulator.errors import CloudError, EmulatorError
from emulator.service.console.watchdog import LinkWatchdog
from emulator.service.core.context import Service
from emulator.service.https.middleware import add_middlewares, shown_path
from emulator.service.routes import ROUTERS

_LOG = logging.getLogger(__name__)


def create_app(service: Service) -> FastAPI:
    """Return the application of `service`."""
    app = FastAPI(title="ttylab", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.service = service
    app.state.watchdog = LinkWatchdog(service)
    app.router.redirect_slashes = False  # a redirect could carry an Authorization header anywhere
    for router in ROUTERS:
        # Not `include_router`: it would build all routes again at the first request, which takes 0.3 s.
        app.router.routes.extend(router.routes)
    app.add_exception_handler(CloudError, _answer_cloud_error)
    app.add_exception_handler(EmulatorError, _answer_lab_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_defect)
    add_middlewares(
        app,
        endpoint=service.endpoint,
        metrics=service.metrics,
        answer=lambda error: error_response(error, service.endpoint),
        saving=service.saving,
    )
    return app


def error_response(error: CloudError, endpoint: str) -> JSONResponse:
    """Return Resource Manager's response for `error`."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    bare = error.code == "SubscriptionNotFound"  # the one error without an envelope (docs/facts/azure.md 2)
    headers = {
        "x-ms-failure-cause": "gateway" if error.status < HTTPStatus.INTERNAL_SERVER_ERROR else "service"
    }
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = (
            f'Bearer authorization_uri="{endpoint}/common", error="invalid_token",'
            f' error_description="{error.message}"'
        )
    return JSONResponse(body if bare else {"error": body}, error.status, headers=headers)


async def _answer_cloud_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CloudError)  # noqa: S101  # registered for this class only
    request.app.state.service.metrics.refused.labels(error.code).inc()
    return error_response(error, request.app.state.service.endpoint)


async def _answer_lab_error(request: Request, error: Exception) -> Response:
    _LOG.warning("%s %s: %s", request.method, shown_path(request.url.path), error)
    failure = CloudError(409, "GuestUnavailable", str(error).splitlines()[0])
    return error_response(failure, request.app.state.service.endpoint)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class only
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    failure = CloudError(400, "InvalidRequestContent", f"The request is invalid: {where}: {first['msg']}")
    return error_response(failure, request.app.state.service.endpoint)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
    codes = {404: "InvalidResourceType", 405: "MethodNotAllowed"}
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    failure = CloudError(error.status_code, codes.get(error.status_code, "BadRequest"), message)
    response = error_response(failure, request.app.state.service.endpoint)
    response.headers.update(error.headers or {})
    return response


async def _answer_defect(request: Request, _: Exception) -> Response:
    """Answer for a bug of ours in the form of any other error; the server logs it."""
    failure = CloudError(500, "InternalServerError", "The service failed; its log says why.")
    return error_response(failure, request.app.state.service.endpoint)
