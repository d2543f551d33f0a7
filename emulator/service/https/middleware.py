"""The middleware of every request: allowed hosts, limits of bodies, headers of answers, counting.

It is plain ASGI: streams pass through untouched, and no request needs a task of its own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.cloud.refusals import refusal
from emulator.errors import CloudError
from emulator.service.https.tls import LOCAL_NAMES
from emulator.service.parts.metrics import Metrics
from emulator.service.parts.saving import Saving

BODY_MAX = 2**20
BODY_S = 30.0
TOO_LARGE = refusal("RequestEntityTooLarge", most=BODY_MAX)
TOO_SLOW = refusal("RequestTimeout", seconds=BODY_S)
BAD_LENGTH = refusal("InvalidContentLength")


ErrorForm: TypeAlias = Callable[[CloudError], Response]
"""Returns the response for an error."""


class HostGuard:
    """Refuses other hosts than ours: another site's page could otherwise rebind its name to us.

    Args:
        app: the next application.
        hosts: our names and addresses; ports are ignored, since they may be forwarded.
        answer: makes the response for an error.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], answer: ErrorForm) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] in {"http", "websocket"}:
            error = self._complaint(scope)
            if error is not None:
                await _refuse(self._answer(error), scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _complaint(self, scope: Scope) -> CloudError | None:
        given = Headers(scope=scope).getlist("host")
        if len(given) != 1 or not (host := host_of(given[0])):
            return refusal("InvalidHostHeader")
        if host in self._hosts:
            return None
        return refusal("MisdirectedRequest")


class BodyLimit:
    """Reads bodies before the routes do; one that is too large or too slow never reaches them."""

    def __init__(self, app: ASGIApp, *, answer: ErrorForm, body_s: float = BODY_S) -> None:
        self._app = app
        self._answer = answer
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        try:
            _check_length(headers.get("content-length", "0"))
            async with asyncio.timeout(self._body_s):
                body = await _read_body(receive)
        except TimeoutError:
            await self._close(TOO_SLOW, scope, receive, send)
        except CloudError as error:
            await self._close(error, scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

    async def _close(self, error: CloudError, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._answer(error)
        response.headers["Connection"] = "close"  # nobody will read the rest
        await response(scope, receive, send)


class SavedFirst:
    """Answers a request that changes something only once that is saved, or says that it is not.

    A repeated PUT, PATCH or DELETE may change nothing and still waits for what it repeats. A read waits for
    nothing, nor does a POST without a change: sign-in and consoles work while a disk is full.
    """

    def __init__(self, app: ASGIApp, *, saving: Saving, answer: ErrorForm) -> None:
        self._app = app
        self._saving = saving
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        replaced, noted = False, self._saving.noted()

        async def send_saved(message: Message) -> None:
            nonlocal replaced
            changes = scope["method"] != "POST" or self._saving.noted() != noted
            if message["type"] == "http.response.start" and changes:
                try:
                    await self._saving.saved()
                except CloudError as error:
                    replaced = True
                    await self._answer(error)(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_saved)


def hosts_of(endpoint: str) -> frozenset[str]:
    """Return the allowed host names of the service at `endpoint`."""
    return frozenset({urlsplit(endpoint).hostname or "", *LOCAL_NAMES})


def host_of(header: str) -> str:
    """Return the host that a Host header names, in lower case and without brackets; "" if it is malformed."""
    try:
        split = urlsplit(f"//{header}")
        host, _ = split.hostname or "", split.port
        if split.username is not None or split.path or split.query or "@" in header:
            return ""
        return str(ipaddress.ip_address(host)) if ":" in host else host
    except ValueError:
        return ""


def _check_length(text: str) -> None:
    if not (text.isascii() and text.isdigit()):
        raise BAD_LENGTH
    if len(text) > 18 or int(text) > BODY_MAX:
        raise TOO_LARGE


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if the client left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > BODY_MAX:
            raise TOO_LARGE
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives `body` first, then what follows: the client's disconnection."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


async def _refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": "wrong host"})


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


def add_middlewares(
    app: FastAPI, *, endpoint: str, metrics: Metrics, answer: ErrorForm, saving: Saving
) -> None:
    """Put the middlewares around `app`; the last one added sees a request first."""
    app.add_middleware(SavedFirst, saving=saving, answer=answer)
    app.add_middleware(BodyLimit, answer=answer)
    app.add_middleware(HostGuard, hosts=hosts_of(endpoint), answer=answer)
    app.add_middleware(Observation, metrics=metrics)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(SingleSlashes)


class SingleSlashes:
    """Treats several slashes in a path as one, as Resource Manager does.

    `az resource show --resource-type …` requests `/providers/Microsoft.Compute//virtualMachines/X`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and "//" in scope["path"]:
            scope = {**scope, "path": _SLASHES.sub("/", scope["path"])}
        await self._app(scope, receive, send)


class ResponseHeaders:
    """Adds Azure's headers to every HTTP answer, and those that restrict browsers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["x-ms-request-id"] = request_id
                headers["x-ms-correlation-request-id"] = (
                    correlation if _CORRELATION.fullmatch(correlation) else request_id
                )
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Observation:
    """Counts requests by route and logs a line for each, without query and session."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a WebSocket is counted where it is opened."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = asyncio.get_running_loop().time()
        status = 500  # for a bug, which is answered further out

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
    """Return the pattern of the route that a request matched, or "none"."""
    return str(getattr(scope.get("route"), "path", "none"))


def shown_path(path: str) -> str:
    """Return `path` for a log: on one line, shortened, and without the secret part of a session's URL."""
    return _SESSION.sub("*", path)[:300].encode("unicode_escape").decode("ascii")
