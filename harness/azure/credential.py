"""Access tokens: of ttylab's service by one small request, of the real Azure by azure-identity."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urlencode

from emulator.clock import Clock, Deadline
from harness.azure.address import ServiceAddress
from harness.azure.http import Transport
from harness.errors import ServiceRefused, ServiceUnreachable

RENEW_S = 300.0
"""A token that has less than this left, or half of its life, is not handed out again, seconds."""
CLIENT_ID = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""Public client of the Azure CLI, which a user's password grant goes by."""


class Credential(Protocol):
    """Gives tokens for Resource Manager."""

    def token(self, deadline: Deadline) -> str:
        """Return a token that is good for a while.

        Raises:
            ServiceRefused: the sign-in failed.
            ServiceUnreachable: it could not be asked.
        """
        ...


class SecretCredential:
    """Signs a service principal or a user in by secret; the token is kept until it is nearly over."""

    def __init__(self, address: ServiceAddress, transport: Transport) -> None:
        self._address = address
        self._transport = transport
        self._token = ""
        self._renew_at = 0.0

    def token(self, deadline: Deadline) -> str:
        """Return a token; see `Credential`."""
        if not self._token or deadline.clock.monotonic() >= self._renew_at:
            self._token, lifetime_s = self._ask(deadline)
            self._renew_at = _renewal(lifetime_s, deadline.clock)
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
            code, message = answer.reason
            doing = f"signing in as {address.principal}"
            raise ServiceRefused(doing, status=answer.status, code=code, message=message)
        said = answer.json()
        token, lifetime = said.get("access_token"), said.get("expires_in")
        if not isinstance(token, str) or not token:
            raise ServiceUnreachable(f"{address.endpoint} answered a sign-in without a token")
        return token, float(lifetime) if isinstance(lifetime, int | float | str) else 0.0


class AzureCredential:
    """Whatever azure-identity finds: environment, managed identity, az, …; its import takes half a second."""

    def __init__(self, address: ServiceAddress) -> None:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415

        self._scope = f"{address.endpoint}/.default"
        self._source: Any = DefaultAzureCredential()

    def token(self, deadline: Deadline) -> str:
        """Return a token; see `Credential`. azure-identity keeps its own time."""
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


def credential_of(address: ServiceAddress, transport: Transport) -> Credential:
    """Return the credential that fits the service."""
    return AzureCredential(address) if address.azure else SecretCredential(address, transport)


def _renewal(lifetime_s: float, clock: Clock) -> float:
    return clock.monotonic() + max(lifetime_s - RENEW_S, lifetime_s / 2)
