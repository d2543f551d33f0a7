"""Refresh tokens: opaque, rotating, remembered by their hash alone."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

LIFETIME_S = 24 * 3600.0
GRACE_S = 60.0
"""How long a token may be used again after its first use, seconds: two `az` at once send the same one."""
KEPT_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshGrant:
    """What a refresh token stands for.

    Attributes:
        principal: object id.
        client: client id of the program that it was given to; nobody else can use it.
        resource: what the last access token was for.
        expires: when it can no longer be used, UTC.
    """

    principal: str
    client: str
    resource: str
    expires: datetime


def hash_of(token: str) -> bytes:
    """Return what a token is remembered by."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


class RefreshTokens:
    """All refresh tokens of the service; the oldest go where there are too many."""

    def __init__(self) -> None:
        self._grants: OrderedDict[bytes, RefreshGrant] = OrderedDict()

    def issue(self, *, principal: str, client: str, resource: str, now: datetime) -> str:
        """Return a new token."""
        token = secrets.token_urlsafe(48)
        self._grants[hash_of(token)] = RefreshGrant(
            principal=principal, client=client, resource=resource, expires=now + timedelta(seconds=LIFETIME_S)
        )
        while len(self._grants) > KEPT_MAX:
            self._grants.popitem(last=False)
        return token

    def redeem(self, token: str, *, client: str, now: datetime) -> RefreshGrant | None:
        """Return what `token` stands for and let it end soon; None where `client` can't use it."""
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
