"""What routes of sign-in share: forms, token answers, and errors as Entra words them."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from emulator.cloud.records import Principal
from emulator.cloud.refusals import refusal
from emulator.errors import CloudError
from emulator.service.core.context import CaseBlindRoute, Service, service_of

FORM_MAX = 65_536
FIELDS_MAX = 50
_CODE = re.compile(r"AADSTS(\d+)")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class EntraRoute(CaseBlindRoute):
    """A route that answers errors as Entra does, not as Resource Manager does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with errors turned into answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except CloudError as error:
                return entra_error(service_of(request), error)

        return answer


def entra_router() -> APIRouter:
    """Return a router for routes of sign-in."""
    return APIRouter(route_class=EntraRoute, tags=["sign-in"])


def entra_error(service: Service, error: CloudError) -> JSONResponse:
    """Return `error` in Entra's form; its message contains the AADSTS number."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    stamp = service.now().strftime("%Y-%m-%d %H:%M:%SZ")
    described = f"{error.message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
    body = {
        "error": error.code,
        "error_description": described,
        "error_codes": [int(code) for code in _CODE.findall(error.message)[:1]],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
    }
    return JSONResponse(body, error.status, headers=NO_STORE)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form; raises CloudError 400 or 413 if it is none, too long, or has one twice."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise refusal("invalid_request.media")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_MAX:
            raise refusal("invalid_request.too-long")
    return parse_form(bytes(body))


def parse_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form's body; errors are those of `read_form`."""
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise refusal("invalid_request.text") from None
    twice = next((name for name, values in fields.items() if len(values) > 1), None)
    if twice is not None:
        raise refusal("invalid_request.twice", name=twice)
    return {name: values[0] for name, values in fields.items()}


def require_field(form: Mapping[str, str], name: str) -> str:
    """Return a field of a form; raises CloudError AADSTS900144 if it is missing or empty."""
    value = form.get(name, "")
    if not value:
        raise refusal("invalid_request.empty", name=name)
    return value


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
    """Return `answer` in the form of version 1: numbers are text, and the resource is named."""
    lifetime = answer["expires_in"]
    return answer | {
        "expires_in": str(lifetime),
        "ext_expires_in": str(lifetime),
        "not_before": str(issued),
        "expires_on": str(issued + lifetime),
        "resource": resource,
    }


def client_info(principal: Principal) -> str:
    """Return the account as MSAL reads it: base64url JSON without padding."""
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
