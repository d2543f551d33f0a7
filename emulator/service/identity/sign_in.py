"""Signing in: whose secret is it, and what is handed out for it (azure.md 5)."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from emulator.cloud.records import Principal
from emulator.errors import CloudError
from emulator.service.identity.device_codes import DeviceCodes
from emulator.service.identity.refresh_tokens import RefreshTokens
from emulator.service.identity.throttle import Throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What sign-in remembers between requests.

    Attributes:
        refresh: refresh tokens.
        devices: device codes.
        throttle: slows guessing down.
        identity_header: what a managed identity's client must send as X-IDENTITY-HEADER; a secret.
    """

    refresh: RefreshTokens = field(default_factory=RefreshTokens)
    devices: DeviceCodes = field(default_factory=DeviceCodes)
    throttle: Throttle = field(default_factory=Throttle)
    identity_header: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


def matches(secret: str | None, offered: str) -> bool:
    """Tell whether `offered` is `secret`, in a time that does not say how much of it is right."""
    expected = secret or secrets.token_urlsafe(24)
    same = hmac.compare_digest(expected.encode("utf-8", "replace"), offered.encode("utf-8", "replace"))
    return same and bool(secret)


async def sign_in_application(
    sign_in: SignIn, found: Principal | None, *, client_id: str, secret: str, where: str
) -> Principal:
    """Return `found` if `secret` is its client secret.

    Raises:
        CloudError: AADSTS700016 for no such application, AADSTS7000215 for a wrong secret.
    """
    if found is None:
        raise unknown_application(client_id, where=where)
    if not matches(found.secret, secret):
        await sign_in.throttle.fail(f"app:{found.id}")
        raise CloudError(
            401,
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is"
            f" the client secret value, not the client secret ID, for a secret added to app"
            f" '{client_id[:80]}'.",
        )
    sign_in.throttle.clear(f"app:{found.id}")
    return found


async def sign_in_user(sign_in: SignIn, found: Principal | None, *, name: str, password: str) -> Principal:
    """Return `found` if `password` is its password; a user that there is not is no other error.

    Raises:
        CloudError: AADSTS50126.
    """
    if not matches(None if found is None else found.secret, password) or found is None:
        await sign_in.throttle.fail(f"user:{name[:200]}")
        raise CloudError(
            400,
            "invalid_grant",
            "AADSTS50126: Error validating credentials due to invalid username or password.",
        )
    sign_in.throttle.clear(f"user:{name[:200]}")
    return found


def unknown_application(client_id: str, *, where: str) -> CloudError:
    """Return the error of a client id that there is not in the directory `where`."""
    return CloudError(
        400,
        "unauthorized_client",
        f"AADSTS700016: Application with identifier '{client_id[:80]}' was not found in the directory"
        f" '{where[:64]}'. This can happen if the application has not been installed by the administrator of"
        " the tenant or consented to by any user in the tenant.",
    )
