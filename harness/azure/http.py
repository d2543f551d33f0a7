"""HTTPS requests with a deadline for each, and the credentials for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import requests

from emulator.clock import Deadline
from harness.azure.address import ServiceAddress
from harness.scenario.errors import ServiceRefused, ServiceUnreachable

CONNECT_S = 10.0
BODY_MAX = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A server's answer.

    Attributes:
        status: HTTP status.
        headers: by name in lower case.
        body: the raw body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; empty if it is not one."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def refusal(self, doing: str, *, text: str = "") -> ServiceRefused:
        """Return the error of this answer to `doing`: its code and message, or `text` if it has neither."""
        said = self.json()
        error = said.get("error", said)
        if isinstance(error, dict):
            code, message = str(error.get("code", "")), str(error.get("message", ""))
        else:
            code, message = str(error), str(said.get("error_description", ""))
        return ServiceRefused(doing, status=self.status, code=code, message=message or ("" if code else text))


class Https:
    """Requests over one pool of connections; close it by leaving the `with`."""

    def __init__(self, ca: Path | None = None) -> None:
        self._verify: str | bool = True if ca is None else str(ca)
        self._session = requests.Session()
        if ca is not None:  # a service with its own authority is not behind a proxy
            self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Reply:
        """Return the answer, whatever its status; no redirect is followed, as a token would go with it.

        Raises:
            ServiceUnreachable: there was no answer.
        """
        left_s = max(deadline.remaining(), 0.001)
        try:
            answer = self._session.request(
                method,
                url,
                headers=dict(headers),
                data=body,
                timeout=(min(left_s, CONNECT_S), left_s),
                allow_redirects=False,
                verify=self._verify,
            )
        except (requests.RequestException, OSError) as error:
            raise ServiceUnreachable(f"{host_of(url)} can't be reached: {_why(error)}") from error
        if len(answer.content) > BODY_MAX:
            raise ServiceUnreachable(f"{host_of(url)} answered more than {BODY_MAX} bytes")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(status=answer.status_code, headers=headers, body=answer.content)


def host_of(url: str) -> str:
    """Return scheme and host of a URL, for messages: its path may contain a secret."""
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


RENEW_S = 300.0
"""A token is renewed when this much of its life, or half of it, is left, seconds."""
CLIENT_ID = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""Public client of the Azure CLI, which password grants of users need."""


class Credential(Protocol):
    """Provides tokens for Resource Manager."""

    def token(self, deadline: Deadline) -> str:
        """Return a token that will work for a while.

        Raises ServiceRefused if the sign-in failed, ServiceUnreachable if there was no answer.
        """
        ...


class SecretCredential:
    """Signs in a service principal or a user by secret; keeps the token until shortly before it expires."""

    def __init__(self, address: ServiceAddress, transport: Https) -> None:
        self._address = address
        self._transport = transport
        self._token = ""
        self._renew_at = 0.0

    def token(self, deadline: Deadline) -> str:
        """Return a token; see `Credential`."""
        if not self._token or deadline.clock.monotonic() >= self._renew_at:
            self._token, lifetime_s = self._ask(deadline)
            self._renew_at = deadline.clock.monotonic() + max(lifetime_s - RENEW_S, lifetime_s / 2)
        return self._token

    def _ask(self, deadline: Deadline) -> tuple[str, float]:
        address = self._address
        answer = self._transport.send(
            "POST",
            f"{address.endpoint}/{address.tenant}/oauth2/v2.0/token",
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=urlencode(grant_of(address)).encode(),
            deadline=deadline,
        )
        if answer.status != 200:
            raise answer.refusal(f"signing in as {address.principal}")
        said = answer.json()
        token, lifetime = said.get("access_token"), said.get("expires_in")
        if not isinstance(token, str) or not token:
            raise ServiceUnreachable(f"{address.endpoint} answered a sign-in without a token")
        return token, float(lifetime) if isinstance(lifetime, int | float | str) else 0.0


class AzureCredential:
    """What azure-identity finds (environment, managed identity, az, …); its import takes half a second."""

    def __init__(self, address: ServiceAddress) -> None:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415

        self._scope = f"{address.endpoint}/.default"
        self._source: Any = DefaultAzureCredential()

    def token(self, deadline: Deadline) -> str:
        """Return a token; see `Credential`. azure-identity has its own timeouts."""
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415

        del deadline
        try:
            return str(self._source.get_token(self._scope).token)
        except ClientAuthenticationError as error:
            message = str(error).splitlines()[0]
            raise ServiceRefused("signing in to Azure", status=401, message=message) from error


def grant_of(address: ServiceAddress) -> dict[str, str]:
    """Return the form of the sign-in: a user's by password, a service principal's by secret."""
    scope = {"scope": f"{address.endpoint}/.default"}
    if "@" in address.principal:
        return scope | {
            "grant_type": "password",
            "client_id": CLIENT_ID,
            "username": address.principal,
            "password": address.secret,
        }
    return scope | {
        "grant_type": "client_credentials",
        "client_id": address.principal,
        "client_secret": address.secret,
    }


def credential_of(address: ServiceAddress, transport: Https) -> Credential:
    """Return the kind of credential that the service needs."""
    return AzureCredential(address) if address.azure else SecretCredential(address, transport)
