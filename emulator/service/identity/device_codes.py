"""Device codes: a program shows a short code, a person enters it on the page `/device` and signs in."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from emulator.errors import CloudError
from emulator.service.identity.refresh_tokens import hash_of

LIFETIME_S = 900.0
INTERVAL_S = 1
KEPT_MAX = 1000
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that people mistake for another
_LENGTH = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    """A sign-in that a program waits for.

    Attributes:
        user_code: what the person enters.
        client: client id of the program.
        tenant: that the authority named, None for any.
        scope: what the program asked for.
        expires: UTC.
        principal: object id of who signed in, None until then.
    """

    user_code: str
    client: str
    tenant: str | None
    scope: str
    expires: datetime
    principal: str | None = None


class DeviceCodes:
    """All pending device codes; the oldest go where there are too many."""

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
            expires=now + timedelta(seconds=LIFETIME_S),
        )
        self._grants[hash_of(code)] = grant
        while len(self._grants) > KEPT_MAX:
            self._grants.popitem(last=False)
        return code, grant

    def find(self, user_code: str, *, now: datetime) -> DeviceGrant | None:
        """Return the pending sign-in of a code as a person typed it, or None."""
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
        """Return what a device code stands for, once somebody has signed in; it works once.

        Raises:
            CloudError: AADSTS70016 while nobody has, AADSTS70020 when it is too late, AADSTS70000 for a
                code that there is not or that another program got.
        """
        key = hash_of(code)
        grant = self._grants.get(key)
        if grant is None or grant.client.lower() != client.lower():
            raise CloudError(400, "invalid_grant", "AADSTS70000: The provided device_code is not valid.")
        if grant.expires <= now:
            del self._grants[key]
            raise CloudError(
                400, "expired_token", "AADSTS70020: The provided value for device_code is expired."
            )
        if grant.principal is None:
            raise CloudError(
                400,
                "authorization_pending",
                "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
            )
        del self._grants[key]
        return grant
