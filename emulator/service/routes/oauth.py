"""The token endpoint and the start of a device sign-in, under a tenant and under `/adfs`.

See docs/facts/azure.md 5.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from fastapi import Request
from fastapi.responses import JSONResponse

from emulator.cloud.compute import Json
from emulator.cloud.directory import (
    ADFS,
    find_application,
    find_user,
    is_client_id,
    require_resource,
    require_tenant,
    resource_of_client_scope,
    resource_of_user_scope,
)
from emulator.cloud.records import Principal
from emulator.cloud.refusals import refusal
from emulator.cloud.settings import azure_document
from emulator.service.core.context import Service, ServiceOf
from emulator.service.core.entra import (
    NO_STORE,
    application_answer,
    entra_router,
    first_version,
    read_form,
    require_field,
    user_answer,
)
from emulator.service.parts.sign_in import (
    DEVICE_INTERVAL_S,
    DEVICE_LIFETIME_S,
    sign_in_application,
    sign_in_user,
)

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_FORM: Json = {
    "requestBody": {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
    }
}
router = entra_router()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """One request for a token.

    Attributes:
        form: its fields.
        authority: the tenant in its path.
        tenant: the tenant whose principals may sign in; None for any.
        client: client id.
        secret: client secret; "" if there is none.
    """

    form: Mapping[str, str]
    authority: str
    tenant: str | None
    client: str
    secret: str

    def resource(self, of_scope: Callable[[str], str]) -> str:
        """Return the resource of the token: the one that is named, or else that of the scope."""
        named = self.form.get("resource")
        return require_resource(named) if named else of_scope(self.form.get("scope", ""))


TokenAnswer: TypeAlias = tuple[Json, str]


@router.post("/{tenant}/oauth2/v2.0/token", openapi_extra=_FORM)
@router.post("/adfs/{tenant}/oauth2/v2.0/token", openapi_extra=_FORM)
async def issue_token(request: Request, service: ServiceOf, tenant: str) -> JSONResponse:
    """Answer a grant with tokens."""
    return await _answer(request, service, tenant, first=False)


@router.post("/{tenant}/oauth2/token", openapi_extra=_FORM)
@router.post("/adfs/{tenant}/oauth2/token", openapi_extra=_FORM)
async def issue_first_token(request: Request, service: ServiceOf, tenant: str) -> JSONResponse:
    """Answer a grant with tokens, as version 1 did."""
    return await _answer(request, service, tenant, first=tenant.lower() != ADFS)


@router.post("/{tenant}/oauth2/v2.0/devicecode", openapi_extra=_FORM)
@router.post("/adfs/{tenant}/oauth2/v2.0/devicecode", openapi_extra=_FORM)
@router.post("/{tenant}/oauth2/devicecode", openapi_extra=_FORM)
async def start_device(request: Request, service: ServiceOf, tenant: str) -> JSONResponse:
    """Begin the sign-in of a program that has no browser."""
    certain = require_tenant(service.cloud, tenant)
    form = await read_form(request)
    client = _require_program(service, require_field(form, "client_id"), authority=tenant)
    scope = form.get("scope") or (f"{form['resource']}/.default" if form.get("resource") else "")
    resource_of_user_scope(scope)
    code, grant = service.sign_in.devices.issue(client=client, tenant=certain, scope=scope, now=service.now())
    body = azure_document(
        "device_code",
        user_code=grant.user_code,
        device_code=code,
        page=f"{service.endpoint}/device",
        lifetime=int(DEVICE_LIFETIME_S),
        interval=DEVICE_INTERVAL_S,
    )
    return JSONResponse(body, headers=NO_STORE)


async def _answer(request: Request, service: Service, tenant: str, *, first: bool) -> JSONResponse:
    certain = require_tenant(service.cloud, tenant)
    form = await read_form(request)
    client, secret = _client_of(request, form)
    asked = TokenRequest(form=form, authority=tenant, tenant=certain, client=client, secret=secret)
    kind = require_field(form, "grant_type")
    if kind not in _GRANTS:
        raise refusal("unsupported_grant_type", kind=kind)
    answer, resource = await _GRANTS[kind](service, asked)
    if first:
        answer = first_version(answer, resource=resource, issued=int(service.now().timestamp()))
    return JSONResponse(answer, headers=NO_STORE)


async def _by_client(service: Service, asked: TokenRequest) -> TokenAnswer:
    if not asked.secret:
        raise refusal("invalid_client.no-secret")
    principal = await _application_of(service, asked)
    resource = asked.resource(resource_of_client_scope)
    return application_answer(service, principal, client=asked.client, resource=resource), resource


async def _by_password(service: Service, asked: TokenRequest) -> TokenAnswer:
    await _check_program(service, asked)
    name, password = require_field(asked.form, "username"), require_field(asked.form, "password")
    resource = asked.resource(resource_of_user_scope)
    found = find_user(service.cloud, name, tenant=asked.tenant)
    principal = await sign_in_user(service.sign_in, found, name=name, password=password)
    return _for_user(service, asked, principal, resource=resource, scope=asked.form.get("scope", ""))


async def _by_refresh(service: Service, asked: TokenRequest) -> TokenAnswer:
    await _check_program(service, asked)
    token = require_field(asked.form, "refresh_token")
    named = asked.form.get("scope") or asked.form.get("resource")
    wanted = asked.resource(resource_of_user_scope) if named else None
    grant = service.sign_in.refresh.redeem(token, client=asked.client, now=service.now())
    principal = None if grant is None else service.cloud.find(Principal, grant.principal)
    if grant is None or principal is None or asked.tenant not in {None, principal.tenant.lower()}:
        raise refusal("invalid_grant.refresh-token")
    resource = wanted or grant.resource
    return _for_user(service, asked, principal, resource=resource, scope=asked.form.get("scope", ""))


async def _by_device(service: Service, asked: TokenRequest) -> TokenAnswer:
    await _check_program(service, asked)
    code = asked.form.get("device_code") or require_field(asked.form, "code")
    grant = service.sign_in.devices.redeem(code, client=asked.client, now=service.now())
    principal = service.cloud.find(Principal, grant.principal or "")
    if principal is None or asked.tenant not in {None, principal.tenant.lower()}:
        raise refusal("invalid_grant.user")
    resource = resource_of_user_scope(grant.scope)
    return _for_user(service, asked, principal, resource=resource, scope=grant.scope)


_GRANTS: Mapping[str, Callable[[Service, TokenRequest], Awaitable[TokenAnswer]]] = {
    "client_credentials": _by_client,
    "password": _by_password,
    "refresh_token": _by_refresh,
    DEVICE_GRANT: _by_device,
    "device_code": _by_device,  # version 1
}


def _for_user(
    service: Service, asked: TokenRequest, principal: Principal, *, resource: str, scope: str
) -> TokenAnswer:
    return user_answer(service, principal, client=asked.client, resource=resource, scope=scope), resource


async def _application_of(service: Service, asked: TokenRequest) -> Principal:
    found = find_application(service.cloud, asked.client, tenant=asked.tenant)
    return await sign_in_application(
        service.sign_in, found, client_id=asked.client, secret=asked.secret, where=asked.authority
    )


async def _check_program(service: Service, asked: TokenRequest) -> None:
    """Check the program that signs a person in; if it sends a secret, that must be the right one."""
    _require_program(service, asked.client, authority=asked.authority)
    if asked.secret:
        await _application_of(service, asked)


def _require_program(service: Service, client_id: str, *, authority: str) -> str:
    if not is_client_id(service.cloud, client_id):
        raise refusal("unauthorized_client", client_id=client_id, where=authority)
    return client_id


def _client_of(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Return client id and secret, from the form or from HTTP's own header (RFC 6749, 2.3.1)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            raise refusal("invalid_client.header") from None
        return unquote(client), unquote(secret)
    return require_field(form, "client_id"), form.get("client_secret", "")
