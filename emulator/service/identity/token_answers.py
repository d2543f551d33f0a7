"""What a token endpoint hands out: access token, and for people also id token and refresh token."""

from __future__ import annotations

import base64
import json
from typing import Any

from emulator.cloud.records import Principal
from emulator.service.context import Service


def application_answer(
    service: Service, principal: Principal, *, client: str, resource: str
) -> dict[str, Any]:
    """Return the answer to a service principal's sign-in."""
    lifetime = int(service.settings.token_s)
    return {
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": service.tokens.issue(
            principal, audience=resource, now=service.now(), lifetime_s=lifetime, client=client
        ),
    }


def user_answer(
    service: Service, principal: Principal, *, client: str, resource: str, scope: str
) -> dict[str, Any]:
    """Return the answer to a person's sign-in."""
    asked = scope or f"{resource}/.default"
    granted = [
        asked,
        *(word for word in ("openid", "profile", "offline_access") if word not in asked.split()),
    ]
    return {
        **application_answer(service, principal, client=client, resource=resource),
        "scope": " ".join(granted),
        "refresh_token": service.sign_in.refresh.issue(
            principal=principal.id, client=client, resource=resource, now=service.now()
        ),
        "id_token": _id_token(service, principal, client=client),
        "client_info": client_info(principal),
    }


def first_version(answer: dict[str, Any], *, resource: str, issued: int) -> dict[str, Any]:
    """Return `answer` as version 1 of the endpoint gives it: numbers are text, and the resource is named."""
    lifetime = answer["expires_in"]
    return answer | {
        "expires_in": str(lifetime),
        "ext_expires_in": str(lifetime),
        "not_before": str(issued),
        "expires_on": str(issued + lifetime),
        "resource": resource,
    }


def client_info(principal: Principal) -> str:
    """Return whose account it is, as MSAL reads it: base64url JSON without padding."""
    text = json.dumps({"uid": principal.id, "utid": principal.tenant})
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")


def _id_token(service: Service, principal: Principal, *, client: str) -> str:
    issued = int(service.now().timestamp())
    return service.tokens.key.sign(
        {
            "aud": client,
            "iss": f"{service.tokens.issuer}/{principal.tenant}/v2.0",
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(service.settings.token_s),
            "oid": principal.id,
            "tid": principal.tenant,
            "sub": principal.id,
            "name": principal.name,
            "preferred_username": principal.name,
            "upn": principal.name,
            "ver": "2.0",
        }
    )
