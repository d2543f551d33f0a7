"""A client of Resource Manager: single requests, and operations that outlast their request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from emulator.clock import Deadline
from harness.azure.address import ServiceAddress
from harness.azure.http import Credential, Https, Reply, credential_of
from harness.azure.names import may_have_token
from harness.scenario.errors import ServiceRefused, ServiceUnreachable

REQUEST_S = 90.0
"""The longest time for one request, seconds; ttylab's service watches a guest for up to 65 s first."""
POLL_S = 1.0
POLL_MOST_S = 30.0
_BUSY = frozenset({429, 503})
"""Statuses which mean that nothing was done, and that say when to try again."""
_RUNNING = frozenset({"inprogress", "running", "accepted", "updating", "creating", "deleting"})


class Arm:
    """A client of Resource Manager for one caller; one thread at a time.

    Attributes:
        address: the service.
        credential: provides the tokens.
    """

    def __init__(self, address: ServiceAddress, transport: Https, credential: Credential) -> None:
        self.address = address
        self.credential = credential
        self._transport = transport

    def call(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        version: str = "",
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Reply:
        """Make one request and return the answer; if the service is busy, try again when it says.

        `path` is below the endpoint ("/subscriptions/…") or a full URL of the same service, `version` the
        api-version, if one is sent; the values of `query` need no quoting, and `body` is sent as JSON. The
        `deadline` is for all tries.

        Raises:
            ServiceRefused: the status is 400 or more; code and message are the service's own.
            ServiceUnreachable: no answer in time.
        """
        url = self._url(path, {"api-version": version} if version else {}, query or {})
        while True:
            reply = self._send(method, url, body, deadline)
            if reply.status not in _BUSY:
                break
            pause = retry_after(reply)
            if pause >= deadline.remaining():
                break
            deadline.clock.sleep(pause)
        if reply.status >= 400:
            raise reply.refusal(f"{method} {_shown(url)}")
        return reply

    def operate(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        version: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Reply:
        """Make a request and wait for the end of the operation that it starts, if any.

        Raises:
            ServiceRefused: it was refused, or the operation failed.
            ServiceUnreachable: no answer in time, or the operation did not end in time.
        """
        reply = self.call(method, path, deadline=deadline, version=version, query=query, body=body)
        status_url = reply.headers.get("azure-asyncoperation")
        place = reply.headers.get("location") if reply.status == 202 else None
        polled, doing = reply, f"{method} {_shown(path)}"
        while status_url or (place and polled.status == 202):
            pause = retry_after(polled)
            if pause >= deadline.remaining():
                raise ServiceUnreachable(f"{doing} was accepted, but did not end in time")
            deadline.clock.sleep(pause)
            polled = self.call("GET", status_url or place or "", deadline=deadline)
            if status_url and _has_ended(polled, doing=doing):
                break
        return reply

    def _send(self, method: str, url: str, body: Mapping[str, object] | None, deadline: Deadline) -> Reply:
        headers = {"Authorization": f"Bearer {self.credential.token(deadline)}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._transport.send(
            method,
            url,
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            deadline=deadline.sooner(REQUEST_S),
        )

    def _url(self, path: str, *queries: Mapping[str, str]) -> str:
        """Return the URL, to which a token will be sent: it must be of this service."""
        endpoint = self.address.endpoint
        url = f"{endpoint}{path}" if path.startswith("/") else path
        if not may_have_token(url, endpoint=endpoint):
            raise ServiceUnreachable(
                f"{endpoint} redirected us to another server, to which no token of ours may be sent"
            )
        words = [f"{name}={value}" for query in queries for name, value in query.items()]
        return url + ("?" + "&".join(words) if words else "")


def retry_after(reply: Reply) -> float:
    """Return how long to wait before the next request, seconds; `POLL_S` if the service does not say."""
    try:
        said = float(reply.headers.get("retry-after", POLL_S))
    except ValueError:  # a date, which no service here sends
        return POLL_S
    return min(max(said, 0.0), POLL_MOST_S)


def _has_ended(reply: Reply, *, doing: str) -> bool:
    said = reply.json()
    status = str(said.get("status", ""))
    if status.lower() in _RUNNING:
        return False
    if status.lower() == "succeeded":
        return True
    error: Any = said.get("error") or {}
    raise ServiceRefused(
        f"{doing} was accepted, and then",
        status=reply.status,
        code=str(error.get("code", status or "no status")),
        message=str(error.get("message", "")),
    )


def _shown(url: str) -> str:
    """Return the path of a URL; a query may contain a secret."""
    path = url.split("?", maxsplit=1)[0]
    return "/" + path.split("/", 3)[3] if path.startswith("https://") else path


@contextmanager
def open_arm(address: ServiceAddress) -> Iterator[Arm]:
    """Open a client of the service at `address`; it makes no request yet."""
    with Https(address.ca) as transport:
        yield Arm(address, transport, credential_of(address, transport))
