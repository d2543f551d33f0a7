"""HTTPS requests with a bound on each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import requests

from emulator.clock import Deadline
from harness.errors import ServiceUnreachable

CONNECT_S = 10.0
BODY_MAX = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server answered.

    Attributes:
        status: HTTP status.
        headers: by name in lower case.
        body: as it came.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """Return the body as an object; an empty one where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def reason(self) -> tuple[str, str]:
        """Return the error's code and message, in either form of Azure; "" where absent."""
        said = self.json()
        error = said.get("error", said)
        if isinstance(error, dict):
            return str(error.get("code", "")), str(error.get("message", ""))
        return str(error), str(said.get("error_description", ""))


class Transport(Protocol):
    """Sends one request and returns the answer."""

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: Deadline,
    ) -> Reply:
        """Return the answer, whatever its status; no redirect is followed, since a token would go with it.

        Raises:
            ServiceUnreachable: there was none.
        """
        ...


class Https:
    """Requests over one pool of connections; close it by leaving the `with`."""

    def __init__(self, ca: Path | None = None) -> None:
        self._verify: str | bool = True if ca is None else str(ca)
        self._session = requests.Session()
        if ca is not None:  # a service with an authority of its own is behind no proxy
            self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: Deadline,
    ) -> Reply:
        """Return the answer; see `Transport`."""
        patience = max(deadline.remaining(), 0.001)
        try:
            answer = self._session.request(
                method,
                url,
                headers=dict(headers),
                data=body,
                timeout=(min(patience, CONNECT_S), patience),
                allow_redirects=False,
                verify=self._verify,
            )
        except (requests.RequestException, OSError) as error:
            raise ServiceUnreachable(f"{_host(url)} can't be reached: {_why(error)}") from error
        if len(answer.content) > BODY_MAX:
            raise ServiceUnreachable(f"{_host(url)} answered more than {BODY_MAX} bytes")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(status=answer.status_code, headers=headers, body=answer.content)


def _host(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _why(error: Exception) -> str:
    """Return the innermost reason in one line: urllib3 wraps it four deep, with addresses of objects."""
    inner: BaseException = error
    while (deeper := _cause(inner)) is not None:
        inner = deeper
    text = str(inner).splitlines()
    return text[0] if text else type(inner).__name__


def _cause(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason
    wrapped = [one for one in error.args if isinstance(one, BaseException)]
    return wrapped[-1] if wrapped else None
