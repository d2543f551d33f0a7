"""What every request passes: headers of every answer, counting, and the limits of http_limits.

Plain ASGI: streams pass untouched, and there is no task a request.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.service.https.http_limits import Answer, BodyLimit, HostGuard, hosts_of
from emulator.service.metrics import Metrics

_HEADERS = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
_CORRELATION = re.compile(r"[\x21-\x7e]{1,64}")
_SESSION = re.compile(r"(?<=/sessions/)[^/]+")
_SLASHES = re.compile("/{2,}")
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_LOG = logging.getLogger(__name__)


def add_middlewares(app: FastAPI, *, endpoint: str, metrics: Metrics, answer: Answer) -> None:
    """Put the middlewares around `app`; the one that is added last sees a request first."""
    app.add_middleware(BodyLimit, answer=answer)
    app.add_middleware(HostGuard, hosts=hosts_of(endpoint), answer=answer)
    app.add_middleware(Observation, metrics=metrics)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(SingleSlashes)


class SingleSlashes:
    """Takes several slashes in a path for one, as Resource Manager does.

    `az resource show --resource-type …` asks for `/providers/Microsoft.Compute//virtualMachines/X`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and "//" in scope["path"]:
            scope = {**scope, "path": _SLASHES.sub("/", scope["path"])}
        await self._app(scope, receive, send)


class ResponseHeaders:
    """Adds to every HTTP answer what Azure's have, and what keeps browsers careful."""

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str] = _HEADERS) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        correlation = Headers(scope=scope).get("x-ms-correlation-request-id", "")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers["x-ms-request-id"] = request_id
                headers["x-ms-correlation-request-id"] = (
                    correlation if _CORRELATION.fullmatch(correlation) else request_id
                )
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Observation:
    """Counts requests by their route and logs a line for each, without query and session."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a WebSocket is counted where it is opened."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = asyncio.get_running_loop().time()
        status = 500  # of a defect, whose answer is made outside

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            self._note(scope, status, seconds=asyncio.get_running_loop().time() - began)

    def _note(self, scope: Scope, status: int, *, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = route_of(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        _LOG.info("%s %s %d %.0f ms", method, shown_path(scope["path"]), status, seconds * 1000)


def route_of(scope: Mapping[str, Any]) -> str:
    """Return the pattern of the route that a request came to: "none" where there was none."""
    return str(getattr(scope.get("route"), "path", "none"))


def shown_path(path: str) -> str:
    """Return `path` for a log: on one line, not endless, and without the secret part of a session's URL."""
    return _SESSION.sub("*", path)[:300].encode("unicode_escape").decode("ascii")
