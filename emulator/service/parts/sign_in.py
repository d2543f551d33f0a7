"""Signing in: checks of secrets, refresh tokens and device codes (docs/facts/azure.md 5)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from emulator.cloud.records import Principal
from emulator.cloud.refusals import refusal

REFRESH_LIFETIME_S = 24 * 3600.0
GRACE_S = 60.0
"""How long a token works after its first use, seconds: two `az` at once send the same one."""
REFRESH_TOKENS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshGrant:
    """What a refresh token stands for.

    Attributes:
        principal: object id.
        client: client id of the program that received it; no other can use it.
        resource: the resource of the last access token.
        expires: when it stops working, UTC.
    """

    principal: str
    client: str
    resource: str
    expires: datetime


def hash_of(token: str) -> bytes:
    """Return the hash under which a token is kept."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


class RefreshTokens:
    """All refresh tokens of the service; when a principal has too many, its oldest are dropped."""

    def __init__(self) -> None:
        self._grants: OrderedDict[bytes, RefreshGrant] = OrderedDict()

    def issue(self, *, principal: str, client: str, resource: str, now: datetime) -> str:
        """Return a new token."""
        own = [key for key, one in self._grants.items() if one.principal == principal]
        for key in own[: max(0, len(own) + 1 - REFRESH_TOKENS_MAX)]:
            del self._grants[key]
        token = secrets.token_urlsafe(48)
        self._grants[hash_of(token)] = RefreshGrant(
            principal=principal,
            client=client,
            resource=resource,
            expires=now + timedelta(seconds=REFRESH_LIFETIME_S),
        )
        return token

    def redeem(self, token: str, *, client: str, now: datetime) -> RefreshGrant | None:
        """Return what `token` stands for and let it expire soon; None if `client` can't use it."""
        key = hash_of(token)
        grant = self._grants.get(key)
        if grant is None or grant.client.lower() != client.lower():
            return None
        if grant.expires <= now:
            del self._grants[key]
            return None
        ends = min(grant.expires, now + timedelta(seconds=GRACE_S))
        self._grants[key] = replace(grant, expires=ends)
        return grant


DEVICE_LIFETIME_S = 900.0
DEVICE_INTERVAL_S = 1
DEVICE_CODES_MAX = 1000
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without those that people confuse
_LENGTH = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    """A sign-in that a program waits for.

    Attributes:
        user_code: what the person enters.
        client: client id of the program.
        tenant: the tenant in the authority's URL; None for any.
        scope: the scope that the program asked for.
        expires: when it expires, UTC.
        principal: object id of the person who signed in; None until then.
    """

    user_code: str
    client: str
    tenant: str | None
    scope: str
    expires: datetime
    principal: str | None = None


class DeviceCodes:
    """All pending device codes; when there are too many, the oldest are dropped."""

    def __init__(self) -> None:
        self._grants: OrderedDict[bytes, DeviceGrant] = OrderedDict()

    def issue(self, *, client: str, tenant: str | None, scope: str, now: datetime) -> tuple[str, DeviceGrant]:
        """Return a new device code and what it stands for."""
        code = secrets.token_urlsafe(48)
        grant = DeviceGrant(
            user_code="".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)),
            client=client,
            tenant=tenant,
            scope=scope,
            expires=now + timedelta(seconds=DEVICE_LIFETIME_S),
        )
        self._grants[hash_of(code)] = grant
        while len(self._grants) > DEVICE_CODES_MAX:
            self._grants.popitem(last=False)
        return code, grant

    def find(self, user_code: str, *, now: datetime) -> DeviceGrant | None:
        """Return the pending sign-in for a code as a person typed it, or None."""
        wanted = "".join(user_code.split()).upper()
        return next(
            (
                one
                for one in self._grants.values()
                if one.user_code == wanted and one.expires > now and one.principal is None
            ),
            None,
        )

    def approve(self, grant: DeviceGrant, *, principal: str) -> None:
        """Let the program of `grant` sign in as `principal`."""
        for key, one in self._grants.items():
            if one == grant:
                self._grants[key] = replace(grant, principal=principal)
                return

    def redeem(self, code: str, *, client: str, now: datetime) -> DeviceGrant:
        """Return what a device code stands for, once somebody has signed in; it works only once.

        Raises:
            CloudError: AADSTS70016 while nobody has signed in, AADSTS70020 for an expired code, AADSTS70000
                for an unknown code or another program's.
        """
        key = hash_of(code)
        grant = self._grants.get(key)
        if grant is None or grant.client.lower() != client.lower():
            raise refusal("invalid_grant.device-code")
        if grant.expires <= now:
            del self._grants[key]
            raise refusal("expired_token")
        if grant.principal is None:
            raise refusal("authorization_pending")
        del self._grants[key]
        return grant


FREE = 3
"""This many wrong secrets in a row are answered without delay: people mistype."""
FIRST_S = 0.1
LONGEST_S = 2.0
WAITING_MAX = 64
NAMES_MAX = 1000

Pause: TypeAlias = Callable[[float], Awaitable[object]]


class Throttle:
    """Counts wrong secrets by name; the right one is never delayed, so nobody can lock anyone out."""

    def __init__(self, pause: Pause = asyncio.sleep) -> None:
        self._pause = pause
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._waiting = 0

    def clear(self, name: str) -> None:
        """Forget the wrong secrets for `name`, after the right one."""
        self._failures.pop(name.lower(), None)

    async def fail(self, name: str) -> None:
        """Count a wrong secret for `name` and delay its answer; raises CloudError 429 if too many wait."""
        count = self._failures.pop(name.lower(), 0) + 1
        self._failures[name.lower()] = count
        while len(self._failures) > NAMES_MAX:
            self._failures.popitem(last=False)
        if count <= FREE:
            return
        if self._waiting >= WAITING_MAX:
            raise refusal("temporarily_unavailable")
        self._waiting += 1
        try:
            await self._pause(min(LONGEST_S, FIRST_S * 2 ** min(count - FREE - 1, 10)))
        finally:
            self._waiting -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The state of sign-in between requests.

    Attributes:
        refresh: refresh tokens.
        devices: device codes.
        throttle: slows down guessing.
        identity_header: the secret that clients of managed identities send as X-IDENTITY-HEADER.
    """

    refresh: RefreshTokens = field(default_factory=RefreshTokens)
    devices: DeviceCodes = field(default_factory=DeviceCodes)
    throttle: Throttle = field(default_factory=Throttle)
    identity_header: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


def matches(secret: str | None, offered: str) -> bool:
    """Tell whether `offered` is `secret`, in a time that does not reveal how much of it is right."""
    expected = secret or secrets.token_urlsafe(24)
    same = hmac.compare_digest(expected.encode("utf-8", "replace"), offered.encode("utf-8", "replace"))
    return same and bool(secret)


async def sign_in_application(
    sign_in: SignIn, found: Principal | None, *, client_id: str, secret: str, where: str
) -> Principal:
    """Return `found` if `secret` is its client secret.

    Raises:
        CloudError: AADSTS700016 for an unknown application, AADSTS7000215 for a wrong secret.
    """
    if found is None:
        raise refusal("unauthorized_client", client_id=client_id, where=where)
    if not matches(found.secret, secret):
        await sign_in.throttle.fail(f"app:{found.id}")
        raise refusal("invalid_client.secret", client_id=client_id)
    sign_in.throttle.clear(f"app:{found.id}")
    return found


async def sign_in_user(sign_in: SignIn, found: Principal | None, *, name: str, password: str) -> Principal:
    """Return `found` if `password` is its password; an unknown user gets the same error as a wrong password.

    Raises:
        CloudError: AADSTS50126.
    """
    if not matches(None if found is None else found.secret, password) or found is None:
        await sign_in.throttle.fail(f"user:{name[:200]}")
        raise refusal("invalid_grant.password")
    sign_in.throttle.clear(f"user:{name[:200]}")
    return found
